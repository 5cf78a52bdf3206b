import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded.js'
import { copyCluster, silent, stopWithUs } from '../store/databases.js'

/** A PostgreSQL of its own that can be paused, killed and stopped. */
export class Postgres {
  readonly #folder = mkdtempSync(join(tmpdir(), 'portcullis-faults-'))
  #server: EmbeddedPostgres | null = null

  async start(): Promise<void> {
    if (this.#server === null) await copyCluster(this.#folder, null)
    this.#server = await startEmbeddedPostgres({ dataFolder: this.#folder, log: silent })
    stopWithUs(this.#server.pid)
  }

  /** Path of the socket. */
  get socket(): string {
    return join(this.#folder, 'postgres', 'cluster', '.s.PGSQL.5432')
  }

  /** @param host of a proxy, or the folder of the socket */
  url(port: number | null): string {
    const { user, password, database } = this.#server!.target
    const login = `${user}:${encodeURIComponent(password)}`
    const folder = encodeURIComponent(join(this.#folder, 'postgres', 'cluster'))
    return port === null
      ? `postgres://${login}@/${database}?host=${folder}`
      : `postgres://${login}@127.0.0.1:${port}/${database}`
  }

  stop(): Promise<void> {
    return this.#server!.close()
  }

  /** As a crash of the machine ends it; whoever looks after it starts it again. */
  kill(): void {
    this.#signal('SIGKILL')
  }

  /** Takes connections and questions, and answers none. */
  pause(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#server!.pid
    if (pid === null) throw new Error('PostgreSQL is not there')
    const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    for (const one of [pid, ...children.split(/\s+/).filter(Boolean).map(Number)]) {
      try {
        process.kill(one, signal)
      } catch {
        // It ended between the listing and now.
      }
    }
  }
}

/** The network between one instance and PostgreSQL. */
export class Wire {
  readonly #socket: string
  readonly #ends = new Set<Socket>()
  #server: Server | null = null
  #delayMs = 0
  #isCut = false
  #isMute = false

  /** @param socket path of PostgreSQL's */
  constructor(socket: string) {
    this.#socket = socket
  }

  /** @returns its port on 127.0.0.1 */
  async open(): Promise<number> {
    this.#server = createServer((near) => this.#join(near))
    await new Promise<void>((listening) => this.#server!.listen(0, '127.0.0.1', listening))
    return (this.#server.address() as { port: number }).port
  }

  /** Every piece, there and back, comes so much later. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs
  }

  /** Connections are reset and new ones refused. */
  cut(): void {
    this.#isCut = true
    for (const end of this.#ends) end.destroy()
  }

  /** Nothing passes and nobody is told. */
  mute(): void {
    this.#isMute = true
  }

  mend(): void {
    // What was swallowed never comes, so that such connections are of no use any more.
    if (this.#isMute) for (const end of this.#ends) end.destroy()
    this.#delayMs = 0
    this.#isCut = false
    this.#isMute = false
  }

  close(): void {
    this.cut()
    this.#server?.close()
  }

  #join(near: Socket): void {
    if (this.#isCut) return void near.destroy()
    const far = dial(this.#socket)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#ends.add(from)
      from.on('data', (bytes) => void this.#carry(bytes, to))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#ends.delete(from)
        to.destroy()
      })
    }
  }

  async #carry(bytes: Buffer, to: Socket): Promise<void> {
    if (this.#isMute) return
    // Timers of one length end in the order in which they began.
    if (this.#delayMs > 0) await sleep(this.#delayMs)
    if (!this.#isMute && !to.destroyed) to.write(bytes)
  }
}

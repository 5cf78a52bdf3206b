import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect, type PortcullisClient } from '../../sdk/typescript/client.js'
import type { Database } from '../../src/store/database.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded.js'
import { openDatabase } from '../../src/store/pg-database.js'
import { ROOT } from '../support/root.js'

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const POLICY = `policy support
default allow
tool pay  { order: string }
tool look { order: string }
rule ASK "Somebody looks at it" { on tool pay require approval from manager within 1h }
`
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** A server in a process of its own. */
export interface Instance {
  readonly process: ChildProcess
  readonly agent: PortcullisClient
  readonly ann: PortcullisClient
  readonly op: PortcullisClient
}

/** Several servers on one PostgreSQL, in a folder that goes with them. */
export class Office {
  readonly #folder = mkdtempSync(join(ROOT, 'portcullis-bench-'))
  readonly #instances: Instance[] = []
  #postgres: EmbeddedPostgres | null = null
  #database: Database | null = null
  #url = ''

  async open(): Promise<void> {
    const settings = { max_connections: '100' }
    this.#postgres = await startEmbeddedPostgres({ dataFolder: this.#folder, log: SILENT, settings })
    const { user, password, database } = this.#postgres.target
    const host = encodeURIComponent(join(this.#folder, 'postgres', 'cluster'))
    this.#url = `postgres://${user}:${encodeURIComponent(password)}@/${database}?host=${host}`
    this.#database = await openDatabase(this.#url, { poolSize: 2 })
    mkdirSync(join(this.#folder, 'policies'))
    writeFileSync(join(this.#folder, 'policies', 'support.policy'), POLICY)
  }

  get database(): Database {
    return this.#database!
  }

  /** @param hasStore false: decides without a control store */
  async start(hasStore: boolean): Promise<Instance> {
    const data = join(this.#folder, `data-${this.#instances.length}`)
    const store = hasStore
      ? ['--control-store', 'postgres', '--database-url', this.#url, '--key-pepper-file', join(this.#folder, 'pepper')]
      : ['--control-store', 'none']
    const paths = ['--policies', join(this.#folder, 'policies'), '--data', data, '--listen', '127.0.0.1:0']
    const argv = [...paths, '--audit-store', 'none', '--log-format', 'json', '--max-concurrent-streams', '20000']
    const child = spawn(process.execPath, [CLI, 'serve', ...argv, ...store], { stdio: ['ignore', 'ignore', 'pipe'] })
    const address = await new Promise<string>((resolve, reject) => {
      const lines: string[] = []
      child.once('exit', (code) => reject(new Error(`a server ended with ${code}:\n${lines.join('\n')}`)))
      createInterface({ input: child.stderr! }).on('line', (line) => {
        if (lines.length < 20) lines.push(line)
        if (line.includes('"event":"serving"')) resolve((JSON.parse(line) as { address: string }).address)
      })
    })
    const as = (key: string): PortcullisClient => connect(address, { key, deadlineMs: 60_000 })
    const instance = {
      process: child,
      agent: as(''),
      ann: as('Development ann manager'),
      op: as('Development op'),
    }
    this.#instances.push(instance)
    return instance
  }

  /** Ends every connection that listens as soon as it is there, until the returned function is called. */
  cutListeners(): () => Promise<void> {
    let isOver = false
    const cutting = (async () => {
      while (!isOver) {
        await this.database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = 'portcullis' AND (query LIKE 'LISTEN %' OR query = 'SELECT 1')`,
        )
        await sleep(10)
      }
    })()
    return async () => {
      isOver = true
      await cutting
    }
  }

  async close(): Promise<void> {
    for (const { process: child, agent, ann, op } of this.#instances) {
      for (const client of [agent, ann, op]) client.close()
      child.kill('SIGKILL')
    }
    await this.#database?.close()
    await this.#postgres?.close()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

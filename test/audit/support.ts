import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Of shippers under test: as often as sensible, so that no test waits. */
export const TUNING = { flushMs: 50, pollMs: 10, maxBackoffMs: 40 }
export const quiet = (): void => undefined

/** A record that is the members of its row, as the spool of a test takes them. */
export function encodeMembers(members: string, writerId: string, seq: number, bytes: Buffer, at: number): number {
  const line = `{"writer_id":"${writerId}","seq":${seq},${members}}`
  return at + Buffer.byteLength(line) > bytes.length ? -1 : at + bytes.write(line, at, 'utf8')
}

/** A folder of its own for one test, removed at its end. */
export function temporaryFolder(t: { teardown(fn: () => unknown): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-audit-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface Front {
  readonly url: string
  readonly port: number
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

/** Starts a ClickHouse HTTP interface; see clickhouse-front.ts. */
export async function startFront(folder: string, port = 0): Promise<Front> {
  const path = fileURLToPath(new URL('./clickhouse-front.js', import.meta.url))
  const child: ChildProcess = fork(path, [folder, String(port)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const listening = await new Promise<number>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the front ended before it listened')))
    child.stdout?.setEncoding('utf8').once('data', (text: string) => resolve(Number(text)))
  })
  return {
    url: `http://default:${encodeURIComponent('open:sesame')}@127.0.0.1:${listening}/audit_test`,
    port: listening,
    kill: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve()
        child.once('exit', () => resolve())
        child.kill('SIGKILL')
      }),
  }
}

/** Waits until the condition holds; a test's own time limit ends a wait that never does. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

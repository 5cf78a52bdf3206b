import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

/** A server of the demo's own: another process, a free port, a data folder that goes with it. */
export interface OwnServer {
  readonly address: string
  /** Ends it, waits until it has, and removes its data. */
  stop(): Promise<void>
}

const START_MS = 20_000
const STOP_MS = 10_000

/** @throws when the server ends, or does not serve within 20 s; the message holds the end of its log */
export async function startServer(
  root: string,
  policies: string,
  settings: readonly string[] = [],
): Promise<OwnServer> {
  const data = mkdtempSync(path.join(tmpdir(), 'portcullis-demo-'))
  const own = ['--policies', policies, '--data', data, '--listen', '127.0.0.1:0', '--log-format', 'json']
  const flags = [...own, ...settings]
  const child = spawn(process.execPath, [path.join(root, 'dist/src/cli/main.js'), 'serve', ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const stop = async (): Promise<void> => {
    await ended(child)
    rmSync(data, { recursive: true, force: true })
  }
  try {
    return { address: await servingAddress(child), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function servingAddress(child: ChildProcess): Promise<string> {
  const log: string[] = []
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${why}\n${log.slice(-20).join('\n')}`))
    const timer = setTimeout(() => fail('the server did not start in time'), START_MS)
    child.once('exit', (code) => fail(`the server ended with code ${code}`))
    createInterface({ input: child.stderr! }).on('line', (line) => {
      if (log.push(line) > 200) log.shift()
      const address = servingLine(line)
      if (address === null) return
      clearTimeout(timer)
      resolve(address)
    })
  })
}

function servingLine(line: string): string | null {
  if (!line.startsWith('{')) return null
  const { event, address } = JSON.parse(line) as { event?: unknown; address?: unknown }
  return event === 'serving' && typeof address === 'string' ? address : null
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    child.once('exit', () => {
      clearTimeout(force)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

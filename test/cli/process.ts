import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/cli/program.js'
import type { Terminal } from '../../src/cli/terminal.js'

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
export const MAIN = `${ROOT}dist/src/cli/main.js`

export interface Run {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** The same without a process, for the many cases where only the command's own doing matters. */
export async function inProcess(args: readonly string[], stdin = ''): Promise<Run> {
  let out = ''
  let err = ''
  const code = await run(['node', 'portcullis', ...args], {
    out: collecting((text) => {
      out += text
    }),
    err: collecting((text) => {
      err += text
    }),
    stdin: Object.assign(Readable.from([Buffer.from(stdin)]) as AsyncIterable<Uint8Array>, { isTTY: false }),
  })
  return { code, out, err }
}

function collecting(add: (text: string) => void): Terminal {
  const write = async (text: string): Promise<void> => add(text)
  return { width: 80, interactive: false, colours: false, write, paint: (_, text) => text }
}

/** Runs `portcullis` in a process of its own, without a terminal, in the repository's root. */
export function portcullis(args: readonly string[], stdin: string | Uint8Array = ''): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { cwd: ROOT })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    // A command that needs no input may be gone before it is written.
    child.stdin.on('error', () => {})
    child.once('error', reject)
    child.once('close', (code) =>
      resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }),
    )
    child.stdin.end(stdin)
  })
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CHILD = fileURLToPath(new URL('serve-child.js', import.meta.url))

type Fields = Readonly<Record<string, unknown>>

/** A server in a process of its own. */
export interface Child {
  readonly process: ChildProcess
  /** What the child printed on standard error, line by line. */
  readonly errors: string[]
  readonly exit: Promise<number | null>
  /** The fields of the first line of the log with this event and these fields. */
  logged(event: string, where?: Fields): Promise<Fields>
}

export interface Teardown {
  teardown(work: () => unknown): void
}

/** Ended with the test, if it still runs. */
export function run(t: Teardown, argv: readonly string[], uid: number | null = null): Child {
  const args = [CHILD, '--listen', '127.0.0.1:0', '--log-format', 'json', ...argv]
  const child = spawn(process.execPath, args, {
    // Most are not about it, and every server would start a PostgreSQL of its own; a flag of the test wins.
    env: { PATH: process.env['PATH'], PORTCULLIS_CONTROL_STORE: 'none' },
    ...(uid !== null && { uid }),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const errors: string[] = []
  const lines = createInterface({ input: child.stderr! })
  lines.on('line', (line) => errors.push(line))
  const exit = once(child, 'close').then(([code]) => code as number | null)
  t.teardown(() => child.kill('SIGKILL'))
  const logged = async (event: string, where: Fields = {}): Promise<Fields> => {
    const wanted = Object.entries({ event, ...where })
    for (;;) {
      const found = errors.filter((line) => line.startsWith('{')).map((line): Fields => JSON.parse(line))
      const line = found.find((line) => wanted.every(([name, value]) => line[name] === value))
      if (line) return line
      const ended = await Promise.race([once(lines, 'line').then(() => false), exit.then(() => true)])
      if (ended) throw new Error(`ended without \`${event}\`: ${errors.join('\n')}`)
    }
  }
  return { process: child, errors, exit, logged }
}

/** The address, when it answers. */
export async function serving(child: Child): Promise<string> {
  return String((await child.logged('serving'))['address'])
}

import type { StdioOptions } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

/** stdin, stdout and stderr come first. */
const FIRST = 3

/**
 * Folders and files for a child process that runs as another user. On Linux it gets them open, and reaches them through
 * `/proc/self/fd` whoever may enter the folders above them: the data folder is private, and stays so. It also makes their paths
 * short, which counts for sockets (107 bytes).
 */
export class Handover {
  readonly #open: number[] = []

  /** @returns the path in the child */
  pass(path: string): string {
    if (process.platform !== 'linux') return path
    return `/proc/self/fd/${FIRST + this.#open.push(openSync(path, 'r')) - 1}`
  }

  stdio(input: 'ignore' | 'pipe', output: 'pipe' | number): StdioOptions {
    return [input, output, output, ...this.#open]
  }

  /** Once the child has been started. */
  close(): void {
    for (const descriptor of this.#open.splice(0)) closeSync(descriptor)
  }
}

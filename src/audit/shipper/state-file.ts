import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Replaces a small JSON file so that a crash leaves the old or the new one, and a power cut does too. */
export function writeStateFile(path: string, state: object): void {
  const temporary = `${path}.new`
  const fd = openSync(temporary, 'w', 0o600)
  try {
    writeSync(fd, `${JSON.stringify(state)}\n`)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, path)
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** The number at `key` of such a file; 0 when there is none to read, which only costs the shipper a look at the store. */
export function readStateNumber(path: string, key: string): number {
  try {
    const state: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const value = typeof state === 'object' && state !== null ? (state as Record<string, unknown>)[key] : 0
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0
  } catch {
    return 0
  }
}

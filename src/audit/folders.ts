import { mkdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** Where the audit keeps what, below a data folder. */
export function auditFolders(dataDir: string): {
  readonly audit: string
  readonly spool: string
  readonly shipper: string
  readonly chdb: string
} {
  const audit = join(resolve(dataDir), 'audit')
  return { audit, spool: join(audit, 'spool'), shipper: join(audit, 'shipper'), chdb: join(audit, 'chdb') }
}

/** Makes a folder and what is missing above it. Node's own recursive mode never returns on some file systems (`/proc`). */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    if (code !== 'ENOENT' || dirname(path) === path || statSync(dirname(path), { throwIfNoEntry: false })) throw error
    makeFolder(dirname(path))
    makeFolder(path)
  }
}

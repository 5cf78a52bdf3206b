import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { listSegments } from './spool/segments.js'

/** The folder that one writer's spool lies in, and the one of what the shipper remembers of it. */
export interface SpoolFolders {
  readonly spool: string
  readonly shipper: string
}

/** Where the audit keeps what, below a data folder. */
export interface AuditFolders extends SpoolFolders {
  readonly audit: string
  readonly chdb: string
}

/** @param worker number of the process that writes, from 1; null for a server of one process, which has a spool of its own */
export function auditFolders(dataDir: string, worker: number | null = null): AuditFolders {
  const audit = join(resolve(dataDir), 'audit')
  const shipper = join(audit, 'shipper')
  const own =
    worker === null
      ? { spool: join(audit, 'spool'), shipper }
      : { spool: join(audit, 'spools', String(worker)), shipper: join(shipper, String(worker)) }
  return { audit, chdb: join(audit, 'chdb'), ...own }
}

/**
 * Every spool of a data folder, whoever wrote it: a server that is started with fewer workers stores what the others left.
 * One that was never opened for writing has nothing to store and is left out.
 */
export function spoolsOf(dataDir: string): readonly SpoolFolders[] {
  const { audit } = auditFolders(dataDir)
  const spools = join(audit, 'spools')
  const workers = existsSync(spools) ? readdirSync(spools).filter((name) => /^[1-9][0-9]{0,3}$/.test(name)) : []
  const all = [auditFolders(dataDir), ...workers.map((name) => auditFolders(dataDir, Number(name)))]
  return all.filter(({ spool }) => existsSync(join(spool, 'writer')) || hasSegments(spool))
}

function hasSegments(spool: string): boolean {
  return existsSync(spool) && listSegments(spool).length > 0
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

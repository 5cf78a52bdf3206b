import { join, resolve } from 'node:path'

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

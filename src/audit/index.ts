/** The audit: records go in at {@link openAuditLog}, questions are answered by {@link startAuditStore}. */
export { type AuditLogOptions, type OpenAuditLog, openAuditLog } from './audit-log.js'
export {
  type AuditStoreOptions,
  type AuditStoreStatus,
  openAuditFolder,
  type RunningAuditStore,
  startAuditStore,
} from './audit-store.js'
export type { SpoolStatus } from './spool/spool.js'
export { StoreError } from './store/audit-store.js'

export { type ControlStore, type ControlStoreOptions, openControlStore } from './control-store.js'
export {
  type Database,
  isDuplicate,
  json,
  QueryFailed,
  type Sql,
  type SqlValue,
  StoreUnavailable,
  type Transaction,
  type TransactionOptions,
  timestamp,
  type UnavailableReason,
} from './database.js'
export {
  type EmbeddedPostgres,
  EmbeddedPostgresError,
  reachEmbeddedPostgres,
  startEmbeddedPostgres,
} from './embedded.js'
export { every, type Poll } from './every.js'
export { Listener, type ListenerOptions, type ListenerStatus, notify } from './listener.js'
export { type Migration, MigrationRefused, migrate, readMigrations } from './migrate.js'
export { openDatabase, type PgOptions, StoreRefused, type Target } from './pg-database.js'

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Database, QueryFailed, type Transaction } from './database.js'

/** A step of the schema, `NNN-what-it-does.sql`; forward only, and never changed once it was released. */
export interface Migration {
  /** 1 and on, without gaps. */
  readonly version: number
  /** Of its file, without `.sql`. */
  readonly name: string
  readonly sql: string
}

/** The schema in the database and the migrations of this program do not belong together. The message says what to do. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused'
}

const FOLDER = fileURLToPath(new URL('./migrations', import.meta.url))

/** Any number will do that nothing else in the database locks; this one spells `portcull`. */
const LOCK = '8101821116829469804'
/** How long another instance's work is waited for before the lock is tried again. */
const BUSY_MS = 50

/**
 * Brings the schema up to date, one transaction a migration. Several instances may do so at once: one works, the others wait
 * for as long as that takes, and find it done.
 *
 * @returns the names of what this call applied
 * @throws {MigrationRefused} when the schema is newer than this program, or was made by other migrations than it has
 */
export async function migrate(database: Database, migrations?: readonly Migration[]): Promise<readonly string[]> {
  const all = migrations ?? (await readMigrations())
  const applied: string[] = []
  for (;;) {
    const outcome = await database.transaction((tx) => step(tx, all))
    if (outcome === 'done') return applied
    if (outcome === 'busy') await sleep(BUSY_MS)
    else applied.push(outcome.name)
  }
}

/** @param folder of `NNN-name.sql` files. @default those of this program */
export async function readMigrations(folder: string = FOLDER): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()
  return Promise.all(
    files.map(async (file, index) => {
      const version = Number(/^(\d{3})-[a-z0-9-]+\.sql$/.exec(file)?.[1])
      if (version !== index + 1) throw new Error(`${file}: migrations are named NNN-what-it-does.sql, without gaps`)
      return { version, name: file.slice(0, -4), sql: await readFile(`${folder}/${file}`, 'utf8') }
    }),
  )
}

/** Applies the next migration, if there is one and nobody else is at it. */
async function step(tx: Transaction, all: readonly Migration[]): Promise<Migration | 'done' | 'busy'> {
  // Tried and not waited for: a wait is a statement, and would be cut off by the statement timeout.
  const [lock] = await tx.query<{ ours: boolean }>('SELECT pg_try_advisory_xact_lock($1::bigint) AS ours', [LOCK])
  if (!lock?.ours) return 'busy'
  const done = await readDone(tx)
  check(done, all)
  const next = all[done.length]
  if (next === undefined) return 'done'
  // Migrations may take longer than a statement of the daily work.
  await tx.query(`SELECT set_config('statement_timeout', '0', true)`)
  try {
    await tx.script(next.sql)
  } catch (error) {
    if (!(error instanceof QueryFailed)) throw error
    throw new MigrationRefused(
      `the migration ${next.name} failed and changed nothing: ${error.message}. A role that may create tables is needed, and a database that holds nothing else`,
      { cause: error },
    )
  }
  await tx.execute('INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)', [
    next.version,
    next.name,
    checksum(next),
  ])
  return next
}

interface Done {
  readonly version: number
  readonly name: string
  readonly checksum: string
}

async function readDone(tx: Transaction): Promise<readonly Done[]> {
  const [table] = await tx.query<{ exists: boolean }>(`SELECT to_regclass('schema_migrations') IS NOT NULL AS exists`)
  if (!table?.exists) return []
  return tx.query<Done>('SELECT version, name, checksum FROM schema_migrations ORDER BY version')
}

function check(done: readonly Done[], all: readonly Migration[]): void {
  for (const [index, { version, name, checksum: recorded }] of done.entries()) {
    const ours = all[index]
    if (ours === undefined) {
      throw new MigrationRefused(
        `the control store was made by a newer Portcullis: it has the migration ${name}, and this version ends with ${all.at(-1)?.name ?? 'none'}. Start that version or a newer one; to go back, restore a backup from before`,
      )
    }
    if (version !== ours.version || name !== ours.name || recorded !== checksum(ours)) {
      throw new MigrationRefused(
        `the migration ${name} in the control store is not the one of this version (${ours.name}). Start the version that made it, or give this one a database of its own`,
      )
    }
  }
}

/** Over the text with plain line ends, which a checkout may have changed. */
function checksum({ sql }: Migration): string {
  return createHash('sha256').update(sql.replaceAll('\r\n', '\n')).digest('hex')
}

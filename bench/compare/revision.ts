import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ROOT } from '../support/root.js'

/** What keeps a comparison from being made; the message says what to do about it. */
export class CompareError extends Error {
  override readonly name = 'CompareError'
}

/** What benchmarks share, and what they take from the tests. */
const SHARED = ['bench/run.mjs', 'bench/support', 'test/engine', 'test/reference']

export interface Revision {
  /** As asked for. */
  readonly name: string
  /** Commit id, 40 hex digits. */
  readonly commit: string
}

/** @throws {CompareError} when there is no such commit */
export function findRevision(name: string): Revision {
  const found = spawnSync('git', ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  if (found.error !== undefined) throw new CompareError(`git does not run: ${found.error.message}`)
  if (found.status !== 0) {
    throw new CompareError(
      `there is no revision ${JSON.stringify(name)}; name a commit, a tag or a branch of this repository`,
    )
  }
  return { name, commit: found.stdout.trim() }
}

/** @throws {CompareError} when tracked files of this tree differ from its commit, results apart */
export function refuseChanges(): void {
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!bench/results').trimEnd()
  if (changed === '') return
  throw new CompareError(
    `this tree has changes that no commit holds, so nobody could repeat the comparison:\n${changed}\ncommit them, or say --dirty`,
  )
}

export interface CheckedOut {
  /** The root of the built tree. */
  readonly folder: string
  /** Removes the tree; safe to call twice. */
  readonly remove: () => void
}

export interface CheckOutOptions {
  /** Whose benchmarks of this tree are laid over the revision's. */
  readonly benchmarks: readonly string[]
  /** Leave the revision's own benchmarks as they are. */
  readonly ownBenchmarks: boolean
}

/**
 * Checks a revision out into a temporary work tree and builds it, with this tree's benchmarks in place of its own, so that both
 * measure the same.
 * @throws {CompareError} when it cannot be installed or built
 */
export function checkOut({ commit }: Revision, { benchmarks, ownBenchmarks }: CheckOutOptions): CheckedOut {
  const parent = mkdtempSync(path.join(tmpdir(), 'portcullis-compare-'))
  const folder = path.join(parent, 'tree')
  const remove = () => {
    if (!existsSync(parent)) return
    spawnSync('git', ['worktree', 'remove', '--force', folder], { cwd: ROOT })
    rmSync(parent, { recursive: true, force: true })
    spawnSync('git', ['worktree', 'prune'], { cwd: ROOT })
  }
  try {
    git('worktree', 'add', '--quiet', '--detach', folder, commit)
    install(folder)
    if (!ownBenchmarks) layOver(folder, benchmarks)
    build(folder)
    return { folder, remove }
  } catch (error) {
    remove()
    throw error
  }
}

/** Other benchmarks and tests are left out: they are not run, and need not fit what is laid over. */
function layOver(folder: string, benchmarks: readonly string[]): void {
  for (const part of ['bench', 'test']) rmSync(path.join(folder, part), { recursive: true, force: true })
  const parts = benchmarks.flatMap((name) => [`bench/${name}`, `bench/${name}.ts`])
  for (const part of [...SHARED, ...parts]) {
    if (!existsSync(path.join(ROOT, part))) continue
    cpSync(path.join(ROOT, part), path.join(folder, part), {
      recursive: true,
      filter: (file) => !file.endsWith('.test.ts'),
    })
  }
}

/** Packages are shared where what the server runs with is the same; otherwise the revision gets its own, and our benchmarks' on top. */
function install(folder: string): void {
  if (JSON.stringify(runtimePackages(folder)) === JSON.stringify(runtimePackages(ROOT))) {
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'), 'dir')
    return
  }
  const quietly = ['--ignore-scripts', '--no-audit', '--no-fund']
  run(folder, 'npm', ['ci', ...quietly], 'its packages cannot be installed')
  const missing = Object.entries(
    readJson<{ devDependencies: Record<string, string> }>(ROOT, 'package.json').devDependencies,
  )
    .filter(([name]) => !existsSync(path.join(folder, 'node_modules', name)))
    .map(([name, version]) => `${name}@${version}`)
  if (missing.length === 0) return
  run(folder, 'npm', ['install', '--no-save', ...quietly, ...missing], "the benchmarks' packages cannot be installed")
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>
}

/** Name and version of everything that is installed, but for what only development needs. */
function runtimePackages(root: string): readonly string[] {
  return Object.entries(readJson<LockFile>(root, 'package-lock.json').packages)
    .filter(([name, { dev }]) => name !== '' && dev !== true)
    .map(([name, { version }]) => `${name}@${version}`)
    .sort()
}

function readJson<T>(root: string, file: string): T {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8')) as T
}

export function build(folder: string): void {
  run(folder, 'npm', ['run', 'build'], 'it does not build; if its own benchmarks would, say --own')
}

function run(folder: string, command: string, args: readonly string[], problem: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
  if (status === 0) return
  throw new CompareError(
    `${folder === ROOT ? 'this tree' : 'the revision'}: ${problem}\n${error?.message ?? `${stdout}\n${stderr}`.trim().slice(-4_000)}`,
  )
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' })
}

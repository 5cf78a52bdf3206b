import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { ROOT } from '../support/root.js'

/** What keeps a comparison from being made; the message says what to do about it. */
export class CompareError extends Error {
  override readonly name = 'CompareError'
}

/** Benchmarks, and what they take from the tests. */
const BENCHMARKS = ['bench', 'test/engine', 'test/reference']

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

/**
 * Checks a revision out into a temporary work tree and builds it, with this tree's benchmarks laid over its own, so that both
 * measure the same; `ownBenchmarks` leaves it as it is.
 * @throws {CompareError} when it cannot be installed or built
 */
export function checkOut({ commit }: Revision, { ownBenchmarks }: { readonly ownBenchmarks: boolean }): CheckedOut {
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
    if (!ownBenchmarks) layOver(folder)
    install(folder)
    build(folder)
    return { folder, remove }
  } catch (error) {
    remove()
    throw error
  }
}

/** The tests are left out: some may not fit the benchmarks' helpers of this tree, and none is run. */
function layOver(folder: string): void {
  rmSync(path.join(folder, 'test'), { recursive: true, force: true })
  for (const part of BENCHMARKS) {
    rmSync(path.join(folder, part), { recursive: true, force: true })
    cpSync(path.join(ROOT, part), path.join(folder, part), {
      recursive: true,
      filter: (file) => !file.endsWith('.test.ts'),
    })
  }
}

/** The lock file tells whether the packages are the same; benchmarks' own (the peers) are this tree's in any case. */
function install(folder: string): void {
  const lockOf = (root: string) => readFileSync(path.join(root, 'package-lock.json'), 'utf8')
  if (lockOf(folder) === lockOf(ROOT)) {
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'), 'dir')
    return
  }
  run(folder, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], 'its packages cannot be installed')
}

export function build(folder: string): void {
  run(folder, 'npm', ['run', 'build'], 'it does not build; if its own benchmarks would, say --own')
}

function run(folder: string, command: string, args: readonly string[], problem: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
  if (status === 0) return
  throw new CompareError(`${problem}\n${error?.message ?? `${stdout}\n${stderr}`.trim().slice(-4_000)}`)
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' })
}

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import path from 'node:path'
import { ROOT } from './root.js'

/** What a figure was made on; figures of different machines say nothing about one another. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  /** Name and release of the operating system. */
  readonly kernel: string
  readonly node: string
  /** Versions of what was measured, by package or program. */
  readonly versions: Readonly<Record<string, string>>
  /** Commit that was measured, with `+` where the tree had changes; empty outside a repository. */
  readonly revision: string
  /** ISO 8601, UTC, to the minute. */
  readonly at: string
}

/** @param packages installed npm packages that take part, besides Node */
export function describeMachine(packages: readonly string[] = []): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    versions: Object.fromEntries(packages.map((name) => [name, versionOf(name)])),
    revision: revision(),
    at: `${new Date().toISOString().slice(0, 16)}Z`,
  }
}

export function describeInLine({ cpu, cores, memoryGiB, kernel, node, versions, revision, at }: Machine): string {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const measured = revision === '' ? [] : [`revision ${revision}`]
  return [`${cpu}, ${cores} cores, ${memoryGiB} GiB`, kernel, `Node ${node}`, ...packages, ...measured, at].join('; ')
}

function versionOf(name: string): string {
  const file = path.join(ROOT, 'node_modules', name, 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}

function revision(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    // Results are written by the run itself, so they are no change of what was measured.
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!bench/results') !== ''
    return `${git('rev-parse', '--short=10', 'HEAD')}${changed ? '+' : ''}`
  } catch {
    return ''
  }
}

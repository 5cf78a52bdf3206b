import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'

/** Ticks of `utime` and `stime` in /proc/PID/stat: 100 a second on every Linux that Node runs on. */
const TICK_NS = 1e7

/** CPU time of this process, all threads, in nanoseconds; a neighbour's load does not count, as it does on the clock. */
export function ownCpuNs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1e3
}

/** CPU time of another process's main thread, in nanoseconds, from the scheduler's own counters. Linux only. */
export function mainThreadNs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0])
}

/** CPU time of another process, all threads, in nanoseconds, to 10 ms. Linux only. */
export function processNs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_NS
}

/** Resident memory of another process, in bytes. Linux only. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? Number.NaN) * 1024
}

/**
 * Part of a sample's time that it may run before it counts: caches, and code that the compiler threw away meanwhile, are warm
 * then.
 */
export const UNCOUNTED = 0.2

/** @param work does something some times and returns how often. @returns nanoseconds of CPU for each, over at least `leastMs` */
export function cpuNsEach(leastMs: number, work: () => number): number {
  let done = 0
  const untilMs = performance.now() + leastMs
  const startedNs = ownCpuNs()
  do done += work()
  while (performance.now() < untilMs)
  return (ownCpuNs() - startedNs) / done
}

/** The same for work that waits. */
export async function cpuNsEachAsync(leastMs: number, work: () => Promise<number>): Promise<number> {
  let done = 0
  const untilMs = performance.now() + leastMs
  const startedNs = ownCpuNs()
  do done += await work()
  while (performance.now() < untilMs)
  return (ownCpuNs() - startedNs) / done
}

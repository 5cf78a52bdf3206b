import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { processNs, residentBytes } from '../support/cpu.js'
import type { Instance } from './office.js'

/** Milliseconds, sorted. */
export type Times = readonly number[]

/** @param part 0 to 1 */
export function percentile(times: Times, part: number): number {
  return times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? Number.NaN
}

const sorted = (times: number[]): Times => times.sort((a, b) => a - b)
let made = 0

/** A request of an agent of its own, so that no limit of one agent is met. */
async function ask({ agent, ann }: Instance): Promise<{ readonly approvalId: string; readonly shownDigest: string }> {
  const order = `order-${++made}`
  const call = { agent: { id: `agent-${order}` }, tool: 'pay', environment: 'prod', arguments: { order } }
  const approvalId = (await agent.decide(call)).approval?.approvalId
  if (approvalId === undefined) throw new Error('no request was opened')
  const { summary } = await ann.approvals.get(approvalId)
  return { approvalId, shownDigest: summary.shownDigest }
}

/** From a vote that is sent to `voting` to the state on a stream of `watching`. */
export async function votes(voting: Instance, watching: Instance, count: number, together: number): Promise<Times> {
  const times: number[] = []
  const one = async (): Promise<void> => {
    const { approvalId, shownDigest } = await ask(voting)
    const stream = watching.agent.approvals.watch(approvalId)
    await stream.next()
    // Anywhere between two readings of whoever is not told.
    await sleep(Math.random() * 100)
    const sentMs = performance.now()
    const vote = voting.ann.approvals.review({ approvalId, shownDigest, approve: true })
    for (;;) {
      const { value } = await stream.next()
      if (value?.state === 'APPROVED') break
      if (value === undefined) throw new Error('the stream ended')
    }
    times.push(performance.now() - sentMs)
    await vote
    await stream.return()
  }
  await inTurns(count, together, one)
  return sorted(times)
}

/** Bytes that a server needs more for so many streams at a time. */
export async function waits(instance: Instance, count: number, requests: number): Promise<number> {
  const ids: string[] = []
  await inTurns(requests, 16, async () => {
    ids.push((await ask(instance)).approvalId)
  })
  await sleep(2_000)
  const before = residentBytes(instance.process.pid!)
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  const open: AsyncGenerator<unknown>[] = []
  await inTurns(count, 200, async (at) => {
    const stream = instance.agent.approvals.watch(ids[at % ids.length]!, 0, stop.signal)
    await stream.next()
    open.push(stream)
  })
  if (open.length !== count) throw new Error(`${open.length} streams are open`)
  await sleep(4_000)
  const after = residentBytes(instance.process.pid!)
  // Reads on, so that the end of each is seen.
  const ended = open.map((stream) => stream.next().catch(() => undefined))
  stop.abort()
  await Promise.all(ended)
  return after - before
}

/** From a switch that is sent to the first instance to the first denial by it on the last of all. */
export async function kills(instances: readonly Instance[], count: number): Promise<Times> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const id = `killed-${++made}`
    const call = { agent: { id }, tool: 'look', environment: 'prod', arguments: { order: 'a' } }
    await sleep(Math.random() * 100)
    const sentMs = performance.now()
    const engaged = instances[0]!.op.killSwitches.engage('agent', id, 'a benchmark')
    const denied = async ({ agent }: Instance): Promise<void> => {
      while ((await agent.decide(call)).reasonCode !== 'KILL_SWITCH') await sleep(1)
    }
    await Promise.all([...instances.map(denied), engaged])
    times.push(performance.now() - sentMs)
  }
  return sorted(times)
}

/** Calls that a switch must stop, at all instances at a time. @returns how many were let through */
export async function underKill(instances: readonly Instance[], calls: number): Promise<number> {
  const id = `stopped-${++made}`
  const call = { agent: { id }, tool: 'look', environment: 'prod', arguments: { order: 'a' } }
  await instances[0]!.op.killSwitches.engage('agent', id, 'a benchmark')
  for (const { agent } of instances) while ((await agent.decide(call)).reasonCode !== 'KILL_SWITCH') await sleep(1)
  let allowed = 0
  await inTurns(calls, 64, async (at) => {
    const { outcome, reasonCode } = await instances[at % instances.length]!.agent.decide(call)
    if (outcome !== 'DENY' || reasonCode !== 'KILL_SWITCH') allowed++
  })
  return allowed
}

export interface Load {
  /** CPU of the server a call, all threads, nanoseconds. */
  readonly cpuNs: number
  readonly callsPerSecond: number
  /** Distinct signatures a receipt; NaN without receipts. */
  readonly signatures: number
}

/** ALLOWs at 64 in flight, with or without a receipt each. */
export async function load({ agent, process: child }: Instance, ms: number, wantReceipt: boolean): Promise<Load> {
  const call = { agent: { id: 'busy' }, tool: 'look', environment: 'prod', arguments: { order: 'a' }, wantReceipt }
  const signatures = new Set<string>()
  let calls = 0
  const startedMs = performance.now()
  const startedNs = processNs(child.pid!)
  const worker = async (): Promise<void> => {
    while (performance.now() - startedMs < ms) {
      const { outcome, receipt } = await agent.decide(call)
      if (outcome !== 'ALLOW' || (receipt !== '') !== wantReceipt) throw new Error(`${outcome}, receipt \`${receipt}\``)
      if (wantReceipt) signatures.add(signatureOf(receipt))
      calls++
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  return {
    cpuNs: (processNs(child.pid!) - startedNs) / calls,
    callsPerSecond: (calls * 1_000) / (performance.now() - startedMs),
    signatures: wantReceipt ? signatures.size / calls : Number.NaN,
  }
}

/** An Ed25519 signature ends the proof that a receipt ends with. */
function signatureOf(receipt: string): string {
  const proof = Buffer.from(receipt.slice(receipt.lastIndexOf('.') + 1), 'base64url')
  return proof.subarray(-64).toString('hex')
}

async function inTurns(count: number, together: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(together, count) }, worker))
}

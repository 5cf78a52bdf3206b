import type { SourceBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import { canonicalJson } from '../../src/model/canonical-json.js'
import { packageDefinition } from '../../src/transport/grpc/proto.js'
import { seededDraw } from '../../test/engine/generate.js'
import { FleetOfTools } from '../support/workloads.js'

/** What the load generator puts the digits of its counter over. */
const PLACEHOLDER = '################'
/** One rule of so many restricts: most calls of a working fleet are allowed. */
const RESTRICTING = 16
const CALLS = 4_096

/** Policies of `rules` rules, and calls that they are for; the same for the same number. */
export function workload(rules: number): { readonly sources: SourceBundle; readonly calls: readonly Call[] } {
  const fleet = new FleetOfTools(seededDraw(7), rules)
  const { policies, attachments } = fleet.sources()
  let rule = 0
  const allow = (effect: string): string => (rule++ % RESTRICTING === 0 ? effect : '  allow\n}')
  const texts = [...policies].map(([name, bytes]) => {
    const text = new TextDecoder().decode(bytes).replace(/^ {2}(?:deny|require approval|allow).*\n\}/gm, allow)
    return [name, new TextEncoder().encode(text)] as const
  })
  const sources = { policies: new Map(texts), attachments }
  return { sources, calls: Array.from({ length: CALLS }, () => fleet.call()) }
}

/** A DecideRequest as the SDK writes it, with the placeholder for its id. */
export function toMessage(call: Call): object {
  const { agent, sessionId, tool, environment } = call
  const argumentsJson = Buffer.from(canonicalJson(call.arguments))
  return { requestId: PLACEHOLDER, agent, sessionId, tool, environment, argumentsJson }
}

/** The load generator's file: a message a call, or a DecideBatchRequest of `batch` calls. */
export function requestFile(calls: readonly Call[], batch: number | null): Buffer {
  const messages = calls.map(toMessage)
  const size = batch ?? 1
  const parts: Buffer[] = []
  let count = 0
  for (let i = 0; i + size <= messages.length; i += size) {
    const bytes =
      batch === null
        ? encode('portcullis.v1.DecideRequest', messages[i]!)
        : encode('portcullis.v1.DecideBatchRequest', { requests: messages.slice(i, i + size) })
    const offsets = placeholders(bytes)
    parts.push(u32([bytes.length, size, offsets.length, ...offsets]), bytes)
    count++
  }
  return Buffer.concat([u32([count]), ...parts])
}

function placeholders(bytes: Buffer): number[] {
  const offsets: number[] = []
  for (let at = bytes.indexOf(PLACEHOLDER); at >= 0; at = bytes.indexOf(PLACEHOLDER, at + 1)) offsets.push(at)
  return offsets
}

function u32(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => {
    bytes.writeUInt32LE(value, 4 * i)
  })
  return bytes
}

function encode(type: string, message: object): Buffer {
  const { serialize } = packageDefinition[type] as unknown as { serialize(message: object): Buffer }
  return serialize(message)
}

import type { StructMessage, ValueMessage } from '../reference/struct.js'
import type { DecideRequestMessage } from './oracle.js'

// A second decoder of DecideRequest, written after protobuf's own words and after nothing else: fields of another wire type are
// unknown, pieces of one inner message are merged, the last of a oneof counts, texts are UTF-8. Slow and plain.

type Field = readonly [number: number, type: number, value: bigint | Uint8Array]

function varint(bytes: Uint8Array, from: number): [bigint, number] {
  let value = 0n
  for (let i = 0; i < 10; i++) {
    const byte = bytes[from + i]
    if (byte === undefined) throw new Error('cut off')
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
    if (byte < 0x80) return [value, from + i + 1]
  }
  throw new Error('too long')
}

function head(bytes: Uint8Array, from: number): [bigint, number] {
  const [value, at] = varint(bytes, from)
  if (value > 0xffff_ffffn || at - from > 5) throw new Error('more than 32 bits')
  return [value, at]
}

function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  for (let at = 0; at < bytes.length; ) {
    const [field, next] = fieldAt(bytes, at, 0)
    fields.push(field)
    at = next
  }
  return fields
}

function fieldAt(bytes: Uint8Array, from: number, groups: number): [Field, number] {
  const [tag, at] = head(bytes, from)
  const number = Number(tag >> 3n)
  const type = Number(tag & 7n)
  if (number === 0 || groups > 32) throw new Error('no field')
  if (type === 0) {
    const [value, next] = varint(bytes, at)
    return [[number, type, value], next]
  }
  if (type === 3) return [[number, type, 0n], groupEnd(bytes, at, number, groups + 1)]
  let length: bigint
  let start = at
  if (type === 2) [length, start] = head(bytes, at)
  else if (type === 1) length = 8n
  else if (type === 5) length = 4n
  else throw new Error('no type')
  const next = start + Number(length)
  if (next > bytes.length) throw new Error('cut off')
  return [[number, type, bytes.subarray(start, next)], next]
}

function groupEnd(bytes: Uint8Array, from: number, number: number, groups: number): number {
  if (groups > 32) throw new Error('too many groups')
  for (let at = from; ; ) {
    const [tag, after] = head(bytes, at)
    if ((tag & 7n) !== 4n) at = fieldAt(bytes, at, groups)[1]
    else if (Number(tag >> 3n) === number) return after
    else throw new Error('another end')
  }
}

const text = (value: Field[2]): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value as Uint8Array)
const last = (fields: readonly Field[], number: number, type: number): Field[2] | undefined =>
  fields.filter(([n, t]) => n === number && t === type).at(-1)?.[2]
const all = (fields: readonly Field[], number: number): Uint8Array[] =>
  fields.filter(([n, t]) => n === number && t === 2).map(([, , value]) => value as Uint8Array)
const joined = (pieces: readonly Uint8Array[]): Uint8Array => Buffer.concat(pieces)

/** Every text is looked at, those that a later field overrides too. */
function texts(fields: readonly Field[], number: number): string[] {
  return all(fields, number).map(text)
}
const textOf = (fields: readonly Field[], number: number): string => texts(fields, number).at(-1) ?? ''
const boolOf = (fields: readonly Field[], number: number): boolean => (last(fields, number, 0) ?? 0n) !== 0n

/** The pieces of the last member of a oneof that was set, all after another member was. */
function chosen(
  fields: readonly Field[],
  members: readonly [number: number, type: number][],
): [number, Field[2][]] | null {
  const set = fields.filter(([n, t]) => members.some(([number, type]) => n === number && t === type))
  const number = set.at(-1)?.[0]
  if (number === undefined) return null
  const start = set.findLastIndex(([n]) => n !== number) + 1
  return [number, set.slice(start).map(([, , value]) => value)]
}

/** A key that comes twice is refused, as the server does and protobuf does not. */
function entriesOf<T>(pieces: readonly Uint8Array[], read: (fields: readonly Field[]) => T): Record<string, T> {
  const entries: [string, T][] = pieces.map((piece) => {
    const fields = fieldsOf(piece)
    return [textOf(fields, 1), read(fields)]
  })
  if (new Set(entries.map(([key]) => key)).size < entries.length) throw new Error('twice')
  return Object.fromEntries(entries)
}

function struct(bytes: Uint8Array): StructMessage {
  return { fields: entriesOf(all(fieldsOf(bytes), 1), (fields) => valueIn(joined(all(fields, 2)))) }
}

function valueIn(bytes: Uint8Array): ValueMessage {
  const fields = fieldsOf(bytes)
  texts(fields, 3)
  const found = chosen(fields, [
    [1, 0],
    [2, 1],
    [3, 2],
    [4, 0],
    [5, 2],
    [6, 2],
  ])
  if (found === null) return {}
  const [number, pieces] = found
  const piece = pieces.at(-1)!
  switch (number) {
    case 1:
      return { kind: 'nullValue', nullValue: 'NULL_VALUE' }
    case 2:
      return { kind: 'numberValue', numberValue: Buffer.from(piece as Uint8Array).readDoubleLE(0) }
    case 3:
      return { kind: 'stringValue', stringValue: text(piece) }
    case 4:
      return { kind: 'boolValue', boolValue: piece !== 0n }
    case 5:
      return { kind: 'structValue', structValue: struct(joined(pieces as Uint8Array[])) }
    default:
      return { kind: 'listValue', listValue: { values: all(fieldsOf(joined(pieces as Uint8Array[])), 1).map(valueIn) } }
  }
}

function subject(pieces: readonly Uint8Array[]): DecideRequestMessage['agent'] {
  if (pieces.length === 0) return null
  const fields = fieldsOf(joined(pieces))
  return { id: textOf(fields, 1), labels: entriesOf(all(fields, 2), (entry) => textOf(entry, 2)) }
}

function json(name: string, fields: readonly Field[], structNumber: number, jsonNumber: number): object {
  const found = chosen(fields, [
    [structNumber, 2],
    [jsonNumber, 2],
  ])
  if (found === null) return {}
  const [number, pieces] = found
  if (number === jsonNumber) return { [`${name}Json`]: pieces.at(-1) }
  return { [`${name}Struct`]: struct(joined(pieces as Uint8Array[])) }
}

/** @throws for bytes that are no DecideRequest */
export function plainDecode(bytes: Uint8Array): DecideRequestMessage {
  const fields = fieldsOf(bytes)
  return {
    requestId: textOf(fields, 1),
    agent: subject(all(fields, 2)),
    principal: subject(all(fields, 3)),
    sessionId: textOf(fields, 4),
    delegationChain: texts(fields, 5),
    tool: textOf(fields, 6),
    environment: textOf(fields, 7),
    ...json('arguments', fields, 8, 9),
    ...json('context', fields, 10, 11),
    expectedPolicyRevision: textOf(fields, 12),
    explain: boolOf(fields, 13),
    dryRun: boolOf(fields, 14),
    approvalId: textOf(fields, 15),
    wantReceipt: boolOf(fields, 16),
  }
}

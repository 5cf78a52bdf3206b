import type { Question } from '../../src/pdp.js'
import { Refusal, readDecideBatchRequest, readDecideRequest } from '../../src/transport/grpc/codec/decide-request.js'
import { encode, toStruct } from '../../test/server/harness.js'
import { type PlainQuestion, toQuestion } from '../../test/server/oracle.js'
import { plainDecode } from '../../test/server/plain-decode.js'
import { Random } from '../demo/random.js'
import type { Fuzzer } from './fuzzer.js'
import { anyText, mutate } from './mutate.js'

const MESSAGES_A_STEP = 100

export const fuzzer: Fuzzer = {
  about:
    'the codec of DecideRequest: of any bytes it reads what a plain decoder of protobuf reads, or refuses as it does',
  step(seed) {
    const random = new Random(seed)
    const mismatches: string[] = []
    for (let i = 0; i < MESSAGES_A_STEP; i++) {
      const bytes = changed(random, encode('portcullis.v1.DecideRequest', message(random)))
      const [ours, theirs] = [read(bytes), expected(bytes)]
      if (ours !== theirs) mismatches.push(`${bytes.toString('hex')}: ${ours} instead of ${theirs}`)
      // A batch of the same: whatever it says, it says it without throwing.
      readDecideBatchRequest(Buffer.concat([Buffer.from([0x0a, bytes.length & 0x7f]), bytes]))
    }
    return { decisions: 0, inputs: MESSAGES_A_STEP, mismatches }
  },
}

function message(random: Random): object {
  const text = (): string =>
    (random.int(0, 9) === 0 ? anyText(random, 6) : mutate(random, 'support-1', 1)).toWellFormed()
  const object = { [text()]: text(), amount: random.int(-5, 5), list: [null, true, { a: text() }] }
  return {
    agent: { id: 'support-1', labels: random.int(0, 2) === 0 ? { team: text() } : {} },
    tool: random.int(0, 4) === 0 ? text() : 'read_order',
    environment: 'prod',
    requestId: random.int(0, 2) === 0 ? text() : 'r',
    delegationChain: random.int(0, 3) === 0 ? [text()] : [],
    ...random.pick<object>([
      {},
      { argumentsJson: Buffer.from(JSON.stringify(object)) },
      { argumentsJson: Buffer.from(text()) },
      { argumentsStruct: toStruct(object) },
    ]),
    explain: random.int(0, 1) === 0,
  }
}

/** Bytes flipped, put in, cut out or repeated; half of the messages stay as they are. */
function changed(random: Random, bytes: Buffer): Buffer {
  let result = bytes
  for (let i = random.int(-3, 3); i > 0; i--) {
    const from = random.int(0, result.length)
    const to = Math.min(result.length, from + random.int(0, 20))
    const noise = Buffer.from(Array.from({ length: random.int(0, 4) }, () => random.int(0, 255)))
    const part = random.pick([
      Buffer.alloc(0),
      noise,
      result.subarray(from, to),
      Buffer.concat([result.subarray(from, to), noise]),
    ])
    result = Buffer.concat([result.subarray(0, from), part, result.subarray(random.pick([from, to]))])
  }
  return result
}

function read(bytes: Buffer): string {
  const question = readDecideRequest(bytes)
  return question instanceof Refusal ? 'refused' : textOf(question)
}

function expected(bytes: Buffer): string {
  try {
    return textOf(toQuestion(plainDecode(bytes)))
  } catch {
    return 'refused'
  }
}

/** What a question says, in one text; integers past a double and minus zero told apart. */
function textOf({
  call,
  expectedPolicyRevision,
  explain,
  dryRun,
  approvalId,
  wantReceipt,
}: PlainQuestion | Question): string {
  const tell = (_: string, item: unknown): unknown =>
    typeof item === 'bigint' ? `${item}n` : Object.is(item, -0) ? '-0' : item
  return JSON.stringify({ call, expectedPolicyRevision, explain, dryRun, approvalId, wantReceipt }, tell)
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { run } from '../../src/cli/program.js'
import type { Terminal } from '../../src/cli/terminal.js'
import { POLICY } from '../../test/server/harness.js'
import { Random } from '../demo/random.js'
import type { Fuzzer } from './fuzzer.js'
import { anyText, mutate } from './mutate.js'

const LINES_A_STEP = 60
const CALLS = [
  '{"agent":{"id":"support-1"},"tool":"issue_refund","environment":"prod","arguments":{"order_id":"A1","amount":450}}',
  '{"request_id":"r1","agent":{"id":"analytics-1","labels":{"team":"a"}},"tool":"query_database","environment":"prod","arguments":{"sql":"SELECT * FROM users"}}',
  '{"agent":{"id":"marketing-1"},"principal":{"id":"u"},"session_id":"s","tool":"send_email","environment":"prod","arguments":{"to":["a@b.example"]},"context":{"a":1},"explain":true}',
]

let folder = ''

export const fuzzer: Fuzzer = {
  about:
    'portcullis decide: every line of NDJSON gets one line of JSON in its place, whatever it holds and however it is cut',
  async open() {
    folder = mkdtempSync(path.join(tmpdir(), 'portcullis-fuzz-'))
    writeFileSync(path.join(folder, 'support.policy'), POLICY)
  },
  async step(seed) {
    const random = new Random(seed)
    const lines = Array.from({ length: LINES_A_STEP }, () => line(random))
    const input = Buffer.from(lines.join('\n'))
    const mismatches: string[] = []
    const [whole, cut] = [await answers([input]), await answers(chunks(random, input))]
    if (whole !== cut) mismatches.push('the answers depend on how the input is cut')
    const answered = whole === '' ? [] : whole.trimEnd().split('\n')
    const asked = input
      .toString('latin1')
      .split('\n')
      .filter((text) => text.length >= 64 || !/^[ \t\r]*$/.test(text))
    if (answered.length !== asked.length) mismatches.push(`${asked.length} lines, ${answered.length} answers`)
    for (const answer of answered) {
      const { outcome, error } = JSON.parse(answer) as { outcome?: string; error?: { message?: string } }
      if (outcome === undefined && typeof error?.message !== 'string')
        mismatches.push(`neither answer nor error: ${answer}`)
      if (/[\u0000-\u001f\u007f-\u009f]/.test(answer)) mismatches.push(`control characters: ${answer}`)
    }
    return { decisions: 0, inputs: LINES_A_STEP, mismatches }
  },
  async close() {
    rmSync(folder, { recursive: true, force: true })
  },
}

function line(random: Random): string {
  switch (random.int(0, 7)) {
    case 0:
      return anyText(random)
    case 1:
      return random.pick(['', ' ', '\t\r', '{}', 'null', '[]', '"', '\ufeff{}', ' '.repeat(70)])
    default:
      return mutate(random, random.pick(CALLS), 3)
  }
}

function chunks(random: Random, input: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < input.length; ) {
    const end = at + random.int(1, 2_000)
    parts.push(input.subarray(at, end))
    at = end
  }
  return parts
}

async function answers(input: readonly Buffer[]): Promise<string> {
  let text = ''
  const terminal = (write: (text: string) => void): Terminal => ({
    width: 80,
    interactive: false,
    colours: false,
    write: async (text) => write(text),
    paint: (_, text) => text,
  })
  const out = terminal((more) => {
    text += more
  })
  const stdin = Object.assign(Readable.from(input) as AsyncIterable<Uint8Array>, { isTTY: false })
  const flags = ['--policies', folder, '--now', '2026-01-05T12:00:00Z']
  await run(['node', 'portcullis', 'decide', ...flags], { out, err: terminal(() => {}), stdin })
  return text
}

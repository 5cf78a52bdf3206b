import type { Call, Subject } from '../../src/model/call.js'
import type { JsonValue } from '../../src/model/json.js'
import type { Draw } from '../reference/draw.js'
import { SPECIMENS } from './specimens.js'

/** Names and values of the corpus: few, so that rules and calls meet. */
export const TOOLS = [
  { name: 'issue_refund', tags: ['money'] },
  { name: 'pay.transfer', tags: ['money', 'egress'] },
  { name: 'send_email', tags: ['egress'] },
  { name: 'db.query', tags: ['data'] },
  { name: 'db.admin.drop', tags: ['data', 'danger'] },
  { name: 'shell_run', tags: ['danger'] },
] as const
export const TAGS = ['money', 'egress', 'data', 'danger']
export const ENVIRONMENTS = ['prod', 'staging', 'dev']
export const AGENTS = ['support-1', 'support-2', 'ops-bot']
export const PRINCIPALS = ['ann', 'bob', 'carla']
export const LABELS = { team: ['billing', 'ops', 'legal'], level: ['junior', 'senior'] } as const
export const ROLES = ['manager', 'finance', 'security', 'owner', 'ciso']
export const CHANNELS = ['chat', 'mail', 'phone']

/** An argument that tools take: its type, values that conditions are about, and values that it should never have. */
export interface ParameterKind {
  readonly type: string
  readonly values: readonly JsonValue[]
  readonly wrong: readonly JsonValue[]
  /** Texts that the view of this name cannot read. */
  readonly view?: keyof typeof SPECIMENS
}

const NUMBERS = [0, 1, 5, 99, 100, 101, 250.5, 1000, -1, -100, 2 ** 53 - 1, 2n ** 53n + 1n, -(2n ** 60n) - 1n]
const number = (): ParameterKind => ({ type: 'number', values: NUMBERS, wrong: ['100', true, null, [100], {}] })
const text = (...values: string[]): ParameterKind => ({ type: 'string', values, wrong: [7, false, null, ['k1'], {}] })
const readAs = (view: keyof typeof SPECIMENS): ParameterKind => ({
  type: 'string',
  view,
  values: SPECIMENS[view].flatMap(({ text, reads }) => (reads === null ? [] : [text])),
  wrong: [42, null, ['a'], { text: 'a' }],
})

const ADDRESSES = SPECIMENS.email.flatMap(({ text, reads }) => (reads === null ? [] : [text]))

export const PARAMETERS: Readonly<Record<string, ParameterKind>> = {
  amount: number(),
  count: number(),
  limit: number(),
  kind: text('k1', 'k2', 'k3', 'k7', 'refund', 'credit', ''),
  subject: text('Hello', 'URGENT: pay now', 'invoice 17', 'ünïcode ✓', 'hello', '\u{10000}', '\ue000'),
  note: text('please refund', 'k1', '100', 'a*b', 'true', ''),
  urgent: { type: 'boolean', values: [true, false], wrong: ['true', 1, null, []] },
  to: {
    type: 'list<string>',
    values: [
      [],
      ...ADDRESSES.map((one) => [one]),
      ADDRESSES.slice(0, 2),
      ADDRESSES,
      ['ann@@example.com', ...ADDRESSES],
    ],
    wrong: [12, null, true, {}],
  },
  items: {
    type: 'list<number>',
    values: [[], [1], [1, 2, 3], [100, 5], [0.5, -1, 1000], [3, 3, 3]],
    wrong: ['1,2', 3, null, {}],
  },
  customer: {
    type: '{ id: string, tier: string, score: number }',
    values: [
      { id: 'c1', tier: 'gold', score: 10 },
      { id: 'c2', tier: 'basic', score: 55.5 },
      { id: 'c3', tier: 'gold', score: -1 },
    ],
    wrong: [{}, { id: 'c4', tier: 3, score: 'high' }, null, 'c1', []],
  },
  sql: readAs('sql'),
  url: readAs('url'),
  address: readAs('email'),
  path: readAs('path'),
  host: readAs('ip'),
  command: readAs('shell'),
  payload: readAs('json'),
}
export const PARAMETER_NAMES = Object.keys(PARAMETERS)

/** Mondays to Sundays, on and beside the edges of the windows and dates that rules have, and changes to summer time. */
export const INSTANTS = [
  '2026-01-05T12:00:00Z',
  '2026-01-05T08:59:59Z',
  '2026-01-05T09:00:00Z',
  '2026-01-05T17:00:00Z',
  '2026-01-05T23:30:00Z',
  '2026-01-06T05:59:00Z',
  '2026-01-10T13:00:00Z',
  '2026-01-11T03:00:00Z',
  '2026-03-08T07:30:00Z',
  '2026-03-29T01:30:00Z',
  '2026-03-31T00:00:00Z',
  '2026-03-30T23:59:59Z',
  '2026-07-01T21:59:00Z',
].map((instant) => Date.parse(instant))
export const DATES = ['2026-01-05', '2026-01-06', '2026-03-31', '2026-07-01', '2027-01-01'].map((date) =>
  Date.parse(date),
)

export function pick<T>(draw: Draw, items: readonly T[]): T {
  return items[draw.int(items.length)]!
}
/** True once in `of` times. */
export function once(draw: Draw, of: number): boolean {
  return draw.int(of) === 0
}
/** Some of the items, at least one, in their order. */
export function some<T>(draw: Draw, items: readonly T[], most = items.length): T[] {
  const chosen = items.filter(() => once(draw, 2)).slice(0, most)
  return chosen.length > 0 ? chosen : [pick(draw, items)]
}

export function subject(draw: Draw, ids: readonly string[]): Subject {
  const labels: Record<string, string> = { team: pick(draw, LABELS.team) }
  if (once(draw, 2)) labels['level'] = pick(draw, LABELS.level)
  return { id: pick(draw, ids), labels }
}

/** A request of the corpus: a call and the clock. */
export interface Asked {
  readonly call: Call
  readonly nowMs: number
}

/** A value of the right type, once in eight times one that is not or does not parse, once in eight none at all. */
export function argument(draw: Draw, kind: ParameterKind): JsonValue | undefined {
  const broken = kind.view === undefined ? [] : SPECIMENS[kind.view].flatMap(({ text, reads }) => (reads ? [] : [text]))
  const chance = draw.int(16)
  if (chance < 2) return undefined
  if (chance < 4) return pick(draw, [...broken, ...kind.wrong])
  return pick(draw, kind.values)
}

import { performance } from 'node:perf_hooks'
import { compilePolicySet } from '../src/compiler/compile.js'
import { decide } from '../src/engine/decide.js'
import type { JsonObject, JsonValue } from '../src/model/json.js'
import { inShort } from './support/figures.js'
import { describeMachine } from './support/machine.js'
import { readOptions } from './support/options.js'
import { publish, toMetric } from './support/report.js'
import { type Spread, spreadOf } from './support/rounds.js'
import { callOf, checkSources, FACTS } from './support/workload.js'

// npm run bench -- worst: the slowest decision that each kind of condition and each view can be made to take, with arguments
// of 64 KiB or as much as the view reads. Cases are named by what they are up against.

const LIMIT_MS = 2
const BYTES = 64 * 1024
const WARM_UP = 5
/** Files stay under the size that the checker takes. */
const RULES_A_FILE = 4_000
const encoder = new TextEncoder()
const options = readOptions('worst', 30)

interface Case {
  readonly name: string
  /** The condition of a rule on the tool `t`, or one of each of several rules. */
  readonly when: string | readonly string[]
  readonly args: JsonObject
  /** A list that the condition may name `words`. */
  readonly words?: readonly string[]
}

/** As much of a repeated text as a request may have. */
const fill = (text: string, length = BYTES - 64): string =>
  text.repeat(Math.ceil(length / text.length)).slice(0, length)
const times = <T>(count: number, item: (i: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, i) => item(i))
const nested = (depth: number): JsonValue => (depth === 0 ? 'x' : [nested(depth - 1)])
const wide = (bytes: number): JsonValue => times(Math.floor(bytes / 4), () => 'x')

const text = (name: string, when: string, x: string, words?: readonly string[]): Case =>
  words === undefined ? { name, when, args: { x } } : { name, when, args: { x }, words }

const CASES: readonly Case[] = [
  ...[
    ['nested repetition', '^(a+)+$', `${fill('a')}!`],
    ['overlapping wildcards', '.*x.*y.*z', fill('xy')],
    ['counted repetition', '(?:a|b|ab){100}c', fill('ab')],
    ['long counted class', '[a-q][^u-z]{50}x', fill('aq')],
    ['alternation of prefixes', times(40, (i) => `${'a'.repeat(i + 1)}b`).join('|'), fill('a')],
    ['word boundaries', '\\bdrop\\b.*\\btable\\b', fill('drop ')],
    ['case-insensitive Unicode', '\\p{Lu}+é', fill('Äß')],
  ].map(([name, pattern, x]) => text(`matches: ${name}`, `args.x matches /${pattern}/i`, x!)),
  text('contains: a needle of near misses', `args.x contains "b${'a'.repeat(400)}"`, fill('a')),
  text('contains: a needle that ends wrong', `args.x contains "${'a'.repeat(400)}b"`, fill('a')),
  text('like: many stars', `args.x like "${'*a'.repeat(60)}*b"`, fill('a')),
  text('starts and ends', `args.x ends with "${'a'.repeat(200)}b"`, fill('a')),
  text('equality of long texts', 'args.x == args.y', fill('a')),
  text('lower', 'lower(args.x) contains "ß"', fill('ÄÖ', BYTES / 2)),
  text('length', 'length(args.x) == 7', fill('é💣', BYTES / 4)),
  text(
    'contains any of: 2,000 words, none there',
    'args.x contains any of words',
    fill('the quick brown fox '),
    times(2_000, (i) => `word${i}!`),
  ),
  text(
    'contains any of: 2,000 words that nearly fit',
    'args.x contains any of words',
    fill('a'),
    times(2_000, (i) => `${'a'.repeat(1 + (i % 60))}${String.fromCharCode(98 + (i % 25))}${i}`),
  ),
  text(
    'contains any of: 2,000 words of one beginning',
    'args.x contains any of words',
    fill('confidential-'),
    times(2_000, (i) => `confidential-confidential-${i}x`),
  ),
  text(
    'contains all of: 2,000 words',
    'args.x contains all of words',
    times(2_000, (i) => `word${i}!`).join(' '),
    times(2_000, (i) => `word${i}!`),
  ),
  text(
    'contains all of: 2,000 words that come late',
    'args.x contains all of words',
    `${fill('wor', BYTES - 8_000)}word0!`,
    times(2_000, () => 'word0!'),
  ),
  { name: 'in: a long list', when: 'args.x in words', args: { x: 'none' }, words: times(50_000, (i) => `entry-${i}`) },
  {
    name: 'intersects: two long lists',
    when: 'args.x intersects words',
    args: { x: times(8_000, (i) => `q${i}`) },
    words: times(50_000, (i) => `entry-${i}`),
  },
  {
    name: 'subset of: two long lists of the call',
    when: 'args.x subset of args.y',
    args: { x: times(5_000, (i) => `${i}`), y: times(5_000, (i) => `${i}`) },
  },
  { name: 'equality of wide lists', when: 'args.x == args.y', args: { x: wide(BYTES / 2), y: wide(BYTES / 2) } },
  { name: 'any: plain body', when: 'any i in args.x: i == "y"', args: { x: wide(BYTES) } },
  { name: 'all: text body', when: 'all i in args.x: i contains "x"', args: { x: wide(BYTES) } },
  {
    name: 'any: domain of each',
    when: 'any i in args.x: domain(i) not in words',
    args: { x: times(2_400, (i) => `a@b${i}.example.com`) },
    words: ['example.com'],
  },
  {
    name: 'any: domain of each, odd hosts',
    when: 'any i in args.x: domain(i) not in words',
    args: { x: times(4_000, (i) => `http://Ä${i}`) },
    words: ['example.com'],
  },
  {
    name: '20,000 rules told apart by an argument that is missing',
    when: times(20_000, (i) => `args.x == "v${i}" and args.y > ${i % 100}`),
    args: { y: 200 },
  },
  {
    name: '20,000 rules told apart by a number that is a text',
    when: times(20_000, (i) => `args.x > ${i}`),
    args: { x: 'many' },
  },
  {
    name: 'several: sql, shell and json on one tool',
    when: ['sql(args.q).tables intersects ["t"]', 'shell(args.c).programs intersects ["rm"]', 'json(args.j).a == 1'],
    args: {
      q: times(158, () => 'select a from b').join(';'),
      c: fill('a|', 3_071),
      j: `[${fill('1,', BYTES / 2 - 200)}1]`,
    },
  },
  {
    name: 'several: 40 patterns on one text',
    when: times(40, (i) => `args.x matches /(x+y)+${i}$/`),
    args: { x: fill('xy') },
  },
  {
    name: 'several: sql and patterns, just within the budget',
    when: ['sql(args.q).tables intersects ["t"]', ...times(3, (i) => `args.x matches /(x+y)+${i}$/`)],
    args: { q: times(158, () => 'select a from b').join(';'), x: fill('xy', 20_000) },
  },
  {
    name: 'any: sql of each',
    when: 'any q in args.x: sql(q).tables intersects ["t"]',
    args: { x: times(95, (i) => `select ${times(320, () => 'a').join(',')} from t${i}`) },
  },
  {
    name: 'any: a text of the call for each',
    when: 'any i in args.x: i == "y" or args.y matches /^(a+)+$/',
    args: { x: wide(BYTES / 2), y: `${fill('a', BYTES / 2)}!` },
  },
  {
    name: 'contains any of: words of the call',
    when: 'args.x contains any of args.y',
    args: { x: fill('a', BYTES / 2), y: times(8_000, () => 'aab') },
  },
  {
    name: 'any: url of each',
    when: 'any i in args.x: url(i).host == "x"',
    args: { x: times(2_000, (i) => `https://h${i}.example/%41/../b`) },
  },
  {
    name: 'any: pattern of each',
    when: 'any i in args.x: i matches /^(a+)+$/',
    args: { x: times(6_000, () => 'aaaaaa!') },
  },
  { name: 'any in any', when: 'any i in args.x: any j in args.x: i == j and i != j', args: { x: wide(BYTES) } },
  {
    name: 'any in any: text body',
    when: 'any i in args.x: any j in args.x: i contains j and i != j',
    args: { x: times(100, () => fill('a', 640)) },
  },
  { name: 'strings: deep', when: 'strings(args) contains any of ["y"]', args: { x: nested(60) } },
  { name: 'strings: wide', when: 'strings(args) contains any of ["y"]', args: { x: wide(BYTES) } },
  {
    name: 'any string has a word',
    when: 'any s in strings(args): s contains any of words',
    args: { x: wide(BYTES) },
    words: times(2_000, (i) => `word${i}!`),
  },
  { name: 'recipients', when: 'count(recipients(args)) > 1000000', args: { to: fill('a@b.c,') } },
  { name: 'sum', when: 'sum(args.x) > 1000000000', args: { x: times(BYTES / 2, () => 1) } },
  { name: 'max', when: 'max(args.x) > 1000000000', args: { x: times(BYTES / 2, () => 1) } },
  text('json: deep', 'json(args.x).a == 1', `${'['.repeat(60)}1${']'.repeat(60)}`),
  text('json: wide', 'json(args.x).a == 1', `[${fill('1,', BYTES / 2 - 200)}1]`),
  text('json: many keys', 'json(args.x).a == 1', `{${times(2_400, (i) => `"k${i}":${i}`).join(',')}}`),
  text('json: long text with escapes', 'json(args.x).a == 1', `{"b":"${fill('\\u00e9', BYTES / 2 - 200)}"}`),
  text(
    'sql: many columns',
    'sql(args.x).tables intersects ["t"]',
    `select ${times(390, (i) => `c${i}`).join(',')} from u`,
  ),
  text(
    'sql: many conditions',
    'sql(args.x).tables intersects ["t"]',
    `select a from u where ${times(195, (i) => `c${i}=1`).join(' or ')}`,
  ),
  text(
    'sql: nested parentheses',
    'sql(args.x).tables intersects ["t"]',
    `select ${'('.repeat(390)}1${')'.repeat(390)}`,
  ),
  text(
    'sql: nested selects',
    'sql(args.x).tables intersects ["t"]',
    `${'select * from ('.repeat(128)}select 1${') a'.repeat(128)}`,
  ),
  text(
    'sql: many unions',
    'sql(args.x).tables intersects ["t"]',
    times(158, (i) => `select a from t${i}`).join(' union '),
  ),
  text(
    'sql: many joins',
    'sql(args.x).tables intersects ["t"]',
    `select * from a ${times(95, (i) => `join b${i} on a.x = 1`).join(' ')}`,
  ),
  text('sql: many statements', 'sql(args.x).tables intersects ["t"]', times(158, () => 'select a from b').join(';')),
  text('sql: long literal', 'sql(args.x).tables intersects ["t"]', `select '${fill('a', BYTES - 200)}'`),
  text('sql: calls in calls', 'sql(args.x).tables intersects ["t"]', `select ${'f('.repeat(260)}1${')'.repeat(260)}`),
  text(
    'sql: does not parse at the end',
    'sql(args.x).tables intersects ["t"]',
    `select ${times(395, (i) => `c${i}`).join(',')} from from`,
  ),
  text('url: longest', 'url(args.x).host == "x"', `https://h/${fill('%25', 8_000)}`),
  text('url: parameters', 'url(args.x).host == "x"', `https://h/?${times(256, (i) => `p${i}=%41%2541`).join('&')}`),
  text('url: dot segments', 'url(args.x).path == "x"', `https://h/${fill('a/../', 8_100)}`),
  text('path: dot segments', 'path(args.x) under "/srv"', fill('a/../', 4_096)),
  text('path: percent in percent', 'path(args.x) under "/srv"', fill('%2525252e/', 4_096)),
  text('path: backslashes', 'path(args.x) under "/srv"', fill('..\\', 4_096)),
  text('shell: words', 'shell(args.x).programs intersects ["rm"]', fill('a ', 3_072)),
  text('shell: pipes', 'shell(args.x).programs intersects ["rm"]', fill('a|', 3_071)),
  text('shell: substitutions', 'shell(args.x).programs intersects ["rm"]', fill('$(a);', 3_066)),
  text(
    'shell: nested substitutions',
    'shell(args.x).programs intersects ["rm"]',
    times(120, () => `${'$(a '.repeat(5)}${')'.repeat(5)};`).join(''),
  ),
  text('shell: sh -c in sh -c', 'shell(args.x).programs intersects ["rm"]', fill("sh -c 'a b c';", 3_066)),
  text('shell: quotes', 'shell(args.x).programs intersects ["rm"]', fill('"$a"', 3_072)),
  text('email', 'email(args.x).domain == "x"', `${fill('a', 60)}@${fill('a.', 900)}com`),
  text('domain', 'domain(args.x) == "x"', fill('xn--a.', 8_000)),
  text('ip', 'ip(args.x) in 10.0.0.0/8', '::ffff:255.255.255.255'),
]

interface Taken extends Case {
  readonly ms: Spread
  readonly firstMs: number
}

function measure(one: Case): Taken {
  const { when, args, words } = one
  const named = words === undefined ? '' : 'list words from "words.txt"\n'
  const rules = [when].flat().map((one, i) => `rule R${i} "" { on tool t  when ${one}  deny }\n`)
  const policies = new Map<string, Uint8Array>()
  for (let first = 0; first < rules.length; first += RULES_A_FILE) {
    const name = `p${first / RULES_A_FILE}`
    const text = `policy ${name}\ndefault allow\n${first === 0 ? named : ''}${rules.slice(first, first + RULES_A_FILE).join('')}`
    policies.set(`${name}.policy`, encoder.encode(text))
  }
  const bundle = checkSources({
    policies,
    attachments: words === undefined ? new Map() : new Map([['words.txt', encoder.encode(words.join('\n'))]]),
  })
  const policySet = compilePolicySet(bundle, 'default')
  const steps = policySet.prepare()[Symbol.iterator]()
  while (steps.next().done !== true);
  const call = callOf({ id: 'a', labels: {} }, 't', 'prod', args)
  const take = () => {
    const startedMs = performance.now()
    decide(call, FACTS, policySet)
    return performance.now() - startedMs
  }
  const firstMs = take()
  for (let i = 0; i < WARM_UP; i++) take()
  return { ...one, firstMs, ms: spreadOf(times(options.rounds, take)) }
}

const results = CASES.map(measure).sort((a, b) => b.ms.min - a.ms.min)
const over = results.filter(({ ms }) => ms.min > LIMIT_MS).map(({ name }) => name)

publish(
  {
    name: 'worst',
    about: `The slowest decision of each kind of condition and view: one rule, arguments of up to ${BYTES / 1024} KiB.`,
    machine: describeMachine([]),
    metrics: Object.fromEntries(results.map(({ name, ms }) => [name, toMetric(ms, 'ms')])),
    tables: [
      {
        title: 'Milliseconds a decision, the slowest first',
        head: ['condition', 'least', 'median', 'the very first'],
        rows: results.map(({ name, ms, firstMs }) => [name, inShort(ms.min), inShort(ms.median), inShort(firstMs)]),
      },
    ],
    plots: [],
    notes: [
      `Over ${LIMIT_MS} ms: ${over.length === 0 ? 'none' : over.join('; ')}.`,
      'The least of the rounds counts: it is what the decision takes when nothing else runs on the machine.',
    ],
    facts: { limitMs: LIMIT_MS, over },
  },
  options,
)
process.exitCode = over.length === 0 ? 0 : 1

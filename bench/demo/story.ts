import type { DecideResponse } from '../../sdk/typescript/client.js'
import { percent } from '../../src/cli/overview.js'
import { clean, cut, pad, type Style, type Terminal, table, wrap } from '../../src/cli/terminal.js'
import type { DemoCall, Incident } from './day.js'
import type { Score } from './sessions.js'

export interface Answered {
  readonly call: DemoCall
  readonly response: DecideResponse
}

const STYLE: Readonly<Record<DecideResponse['outcome'], Style>> = {
  ALLOW: 'green',
  DENY: 'red',
  REQUIRE_APPROVAL: 'yellow',
}

const INDENT = '     '

/** In the order in which they are told. */
const TALES: Readonly<Record<Incident, { readonly title: string; readonly before: string; readonly after: string }>> = {
  'delete-my-data': {
    title: 'A customer writes: "Delete all my data"',
    before: 'The agent takes it literally.',
    after: 'It opens a GDPR deletion request instead; the attempt is on record for compliance.',
  },
  'injected-sql': {
    title: 'A user asks: "Show me revenue trends", and text from the web sits in the prompt',
    before: 'The hijacked agent writes a second statement behind the first.',
    after: 'Parsed, not searched: the statement kinds, the star and the tables each break a rule of their own.',
  },
  'mass-mailing': {
    title: 'A campaign is ready at 9:45',
    before: 'The agent wants to send it to everyone at once.',
    after: 'Nothing is sent until a marketing manager says so.',
  },
}

export function dayTable(answers: readonly Answered[], to: Terminal): string {
  const scenarios = ['support', 'analytics', 'marketing'] as const
  const rows = scenarios.map((scenario) => {
    const own = answers.filter(({ call }) => call.scenario === scenario)
    const count = (outcome: DecideResponse['outcome']): string =>
      String(own.filter(({ response }) => response.outcome === outcome).length)
    return [scenario, String(own.length), count('ALLOW'), count('REQUIRE_APPROVAL'), count('DENY')]
  })
  const right = (title: string) => ({ title, align: 'right' as const })
  return table([{ title: 'team' }, right('calls'), right('allowed'), right('approval'), right('blocked')], rows, to)
}

export const INCIDENTS = Object.keys(TALES) as readonly Incident[]

export function incident({ call, response }: Answered, to: Terminal): string {
  const tale = TALES[call.incident!]
  const ask = cut(
    `${clean(call.agent)} → ${clean(call.tool)} ${clean(shortArguments(call.args))}`,
    to.width - INDENT.length,
  )
  const [first = '', ...more] = wrap(`${response.outcome}  ${clean(response.reason)}`, to.width - INDENT.length)
  const rules = response.matchedRules.filter((rule) => rule.effect !== 'EFFECT_ALLOW')
  const lines = [
    tale.before,
    to.paint('cyan', ask),
    to.paint(STYLE[response.outcome], first),
    ...more,
    ...rules.map((rule) => `${pad(`· ${clean(rule.ruleId)}`, 28)} ${to.paint('dim', place(rule.source))}`),
    ...wrap(tale.after, to.width - INDENT.length),
  ]
  return [`  ${to.paint('bold', tale.title)}`, ...lines.map((line) => INDENT + line)].join('\n')
}

/** Long lists as their length, so that 5,000 recipients fit on a line. */
function shortArguments(args: DemoCall['args']): string {
  const short = Object.entries(args).map(([key, value]) =>
    Array.isArray(value) && value.length > 3 ? [key, `${value.length.toLocaleString('en-US')} entries`] : [key, value],
  )
  return JSON.stringify(Object.fromEntries(short))
}

function place(source: DecideResponse['matchedRules'][number]['source']): string {
  return source === null ? '' : `${clean(source.file)}:${source.line}`
}

export function scoreTable(scores: readonly Score[], to: Terminal): string {
  const sum = (field: 'attacks' | 'blocked' | 'benign' | 'untouched'): number =>
    scores.reduce((n, s) => n + s[field], 0)
  const all: Score = {
    suite: 'all',
    attacks: sum('attacks'),
    blocked: sum('blocked'),
    benign: sum('benign'),
    untouched: sum('untouched'),
  }
  const of = (part: number, whole: number): string =>
    whole === 0 ? '–' : `${part} of ${whole} (${percent(part / whole)})`
  const rows = [...scores, all].map((s) => [s.suite, of(s.blocked, s.attacks), of(s.untouched, s.benign)])
  return table(
    [
      { title: 'suite' },
      { title: 'attacks stopped', align: 'right' },
      { title: 'honest sessions untouched', align: 'right' },
    ],
    rows,
    to,
  )
}

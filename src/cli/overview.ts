import type { AuditOverview, Violation } from '../../sdk/typescript/client.js'
import { clean, cut, displayWidth, pad, type Terminal } from './terminal.js'

const WIDTH = 57

/** The security overview as a box: totals, top violations, riskiest agents. */
export function overviewBox(overview: AuditOverview, period: string, to: Terminal): string {
  const { totals, topViolations, riskiestAgents } = overview
  const title = 'Agent Security Overview'
  const lines = [
    to.paint('bold', title) + pad(period, WIDTH - 2 - title.length, 'right'),
    null,
    `Total Actions: ${number(totals.total)}`,
    `✅ Allowed: ${share(totals.allowed, totals.total)}`,
    `⏳ Approval: ${share(totals.requireApproval, totals.total)}`,
    `⛔ Blocked: ${share(totals.denied, totals.total)}`,
    '',
    'Top Violations:',
    ...ranking(topViolations.map((v) => [label(v), number(v.count)])),
    '',
    'Riskiest Agents:',
    ...ranking(riskiestAgents.map((a) => [a.agent, `${number(a.violations)} of ${number(a.decisions)}`])),
  ]
  const rule = '─'.repeat(WIDTH)
  const body = lines.map((line) => (line === null ? `├${rule}┤` : `│ ${pad(line, WIDTH - 2)} │`))
  return [`┌${rule}┐`, ...body, `└${rule}┘`].join('\n')
}

/** Denials that no rule made are told by their reason code in the rule's place. */
const WITHOUT_RULE: Readonly<Record<string, string>> = {
  DEFAULT_DENY: 'No rule allows the call',
  NO_POLICY: 'No policy speaks for the agent',
}

function label({ ruleId, description }: Violation): string {
  return description === '' ? (WITHOUT_RULE[ruleId] ?? ruleId) : description
}

function ranking(rows: readonly (readonly [string, string])[]): string[] {
  if (rows.length === 0) return ['none']
  return rows.map(([name, count], i) => {
    const room = WIDTH - 2 - displayWidth(`${i + 1}. : ${count}`)
    return `${i + 1}. ${cut(clean(name), room)}: ${count}`
  })
}

function share(part: number, of: number): string {
  return of === 0 ? '0' : `${number(part)} (${percent(part / of)})`
}

/** One digit behind the point below 10 %, so that 3 of 500 do not become nought. */
export function percent(fraction: number): string {
  const value = fraction * 100
  return `${value === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)}%`
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

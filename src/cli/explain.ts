import { Command } from 'commander'
import { decide } from '../engine/decide.js'
import type {
  ApprovalGroup,
  ApprovalRequirement,
  ArgumentPath,
  Decision,
  MatchedRule,
  NearMiss,
} from '../model/decision.js'
import type { Outcome } from '../model/outcome.js'
import type { Location } from '../model/span.js'
import { goodBundle, policySetOf } from './bundle.js'
import { addCallOptions, addDecisionOptions, type CallFlags, requestOf } from './call-options.js'
import type { ExitCode, Io } from './command.js'
import { responseJson } from './response.js'
import { clean, jsonLine, type Style, type Terminal } from './terminal.js'

interface Flags extends CallFlags {
  readonly policies: string
  readonly json?: boolean
}

export function explainCommand(io: Io, end: (code: ExitCode) => void): Command {
  const command = new Command('explain').description('say why a call gets its answer, and which rules nearly matched')
  return addDecisionOptions(addCallOptions(command))
    .option('--json', 'print the decision with its near misses as JSON')
    .action(async (flags: Flags) => end(await run(io, flags)))
}

async function run(io: Io, flags: Flags): Promise<ExitCode> {
  const { call } = requestOf(flags, true)
  const bundle = await goodBundle(flags.policies, io.err)
  const decision = decide(call, { nowMs: flags.now ?? Date.now() }, policySetOf(bundle, flags.tenant), {
    explain: true,
  })
  await io.out.write(flags.json === true ? jsonLine(responseJson(decision, '')) : `${explanation(decision, io.out)}\n`)
  return 0
}

const OUTCOME_STYLE: Readonly<Record<Outcome, Style>> = { ALLOW: 'green', DENY: 'red', REQUIRE_APPROVAL: 'yellow' }

export function paintOutcome(outcome: Outcome, to: Terminal): string {
  return to.paint(OUTCOME_STYLE[outcome], outcome)
}

/** The answer in one line, then what it rests on. */
function explanation(decision: Decision, to: Terminal): string {
  const lines = [
    `${paintOutcome(decision.outcome, to)}  ${clean(decision.reason)}  ${to.paint('dim', `(${decision.reasonCode})`)}`,
  ]
  for (const [title, rules] of [
    ['matched', decision.matched],
    ['monitored, not enforced', decision.monitored],
  ] as const) {
    if (rules.length > 0) lines.push('', `${title}:`, ...rules.flatMap((rule) => ruleLines(rule, to)))
  }
  if (decision.approvals.length > 0)
    lines.push('', 'approval:', ...decision.approvals.map((a) => `  ${requirement(a)}`))
  if (decision.obligations.length > 0) {
    lines.push('', 'obligations:')
    for (const { kind, target, value, ruleId } of decision.obligations) {
      lines.push(
        `  ${kind} ${clean(target === '' ? String(value) : target)}  ${to.paint('dim', `by ${clean(ruleId)}`)}`,
      )
    }
  }
  const misses = nearMissLines(decision.nearMisses, to)
  if (misses.length > 0) lines.push('', ...misses)
  lines.push('', to.paint('dim', `policies ${decision.policyRevision}`))
  return lines.join('\n')
}

function ruleLines(rule: MatchedRule, to: Terminal): string[] {
  const notes = [
    rule.effect,
    ...(rule.severity === null ? [] : [rule.severity]),
    ...(rule.indeterminate ? ['could not be evaluated'] : []),
  ]
  const about = rule.why === '' ? rule.description : rule.why
  return [
    `  ${to.paint('bold', clean(rule.ruleId))}  ${notes.join(', ')}  ${to.paint('dim', place(rule.location))}`,
    ...(about === '' ? [] : [`    ${clean(about)}`]),
  ]
}

/** Rules that fitted the call and whose condition did not hold, with the clauses that failed; empty when there are none. */
export function nearMissLines(misses: readonly NearMiss[], to: Terminal): readonly string[] {
  if (misses.length === 0) return []
  return [
    'nearly matched:',
    ...misses.flatMap((miss) => [
      `  ${to.paint('bold', clean(miss.ruleId))}  ${miss.effect}  ${to.paint('dim', place(miss.location))}`,
      ...decisive(miss).map(({ text, value, location }) => {
        const was = value === 'unknown' ? 'could not be evaluated' : 'did not hold'
        return `    ${clean(text.replace(/\s+/g, ' '))}  ${was}  ${to.paint('dim', place(location))}`
      }),
    ]),
  ]
}

/** Clauses that did not hold; those that could not be evaluated only where they alone kept the rule from matching. */
function decisive(miss: NearMiss): NearMiss['failed'] {
  const failed = miss.failed.filter((clause) => clause.value === 'false')
  return failed.length > 0 ? failed : miss.failed
}

function requirement(of: ApprovalRequirement): string {
  const stages = of.stages.map(({ from }) => from.map(group).join(' and '))
  const paths = (all: readonly ArgumentPath[]): string => all.map((path) => clean(`args.${path.join('.')}`)).join(', ')
  const reasons = [...(of.reasonOnApproval ? ['approval'] : []), ...(of.reasonOnRejection ? ['rejection'] : [])]
  const notes = [
    ...(of.isException ? ['lifts a denial'] : []),
    ...(of.barred.length > 0 ? [`not by ${of.barred.map(clean).join(', ')}`] : []),
    ...(reasons.length > 0 ? [`${reasons.join(' and ')} with a reason`] : []),
    ...(of.mayEdit.length > 0 ? [`may edit ${paths(of.mayEdit)}`] : []),
    ...of.mayRemember.map(
      ({ scope, paths: fields, forMs }) =>
        `may remember ${scope === 'fields' ? paths(fields) : scope} for ${forMs / 1000} s`,
    ),
    ...(of.breakGlass === null ? [] : [`${clean(of.breakGlass)} may break the glass`]),
  ]
  const within = of.withinMs === null ? '' : ` within ${of.withinMs / 1000} s`
  return `${stages.join(', then ')}${within}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`
}

function group({ count, role, where }: ApprovalGroup): string {
  const attributes = where.map(({ attribute, value }) =>
    value === null ? `${clean(attribute)} that nobody has` : `${clean(attribute)} = ${clean(JSON.stringify(value))}`,
  )
  const of = attributes.length === 0 ? '' : ` (${attributes.join(', ')})`
  return `${count === 1 ? '' : `${count} of `}${clean(role)}${of}`
}

function place(location: Location): string {
  return `${clean(location.file)}:${location.line}:${location.column}`
}

import type { DeclaredTool } from '../compiler/declared-tool.js'
import type { PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, UNKNOWN } from '../compiler/predicate/truth.js'
import { type ProgramSection, recordsOf } from '../compiler/program.js'
import type { Call, Subject } from '../model/call.js'
import type { Effect } from '../model/outcome.js'
import { combine } from './combine.js'
import { place } from './match.js'

/** Who asks, where and when; what is left open are arguments, context and session. */
export interface VisibleToolsQuery {
  readonly tenant: string
  readonly agent: Subject
  readonly principal: Subject | null
  readonly environment: string
  readonly nowMs: number
}

/**
 * The declared tools for which some call of this agent could still be allowed or approved, by name. Errs on the side of
 * showing: a tool is hidden only when it is sure that every call of it is denied. Seeing a tool grants nothing.
 */
export function visibleTools(query: VisibleToolsQuery, policySet: PolicySet): readonly DeclaredTool[] {
  return policySet.declaredTools().filter((tool) => isVisible(tool.name, query, policySet))
}

function isVisible(tool: string, query: VisibleToolsQuery, policySet: PolicySet): boolean {
  const { frame, entries, always, programs } = policySet
  const call = callOf(tool, query)
  frame.begin(call, query.nowMs)
  place(call, policySet)
  // Per layer, the most lenient findings that some call may have: what is certain, and every opening rule that is possible.
  const findings = { ...always.findings }
  for (const record of recordsFor(programs, frame)) {
    const entry = programs.code[record]!
    const applies = settle(record, policySet)
    if (applies === 'always' || (applies === 'maybe' && isOpening(entries.effectOf(entry))))
      findings[entries.layerOf(entry)] |= entries.findingOf(entry)
  }
  frame.end()
  return combine(findings.fleet, findings.tenant).outcome !== 'DENY'
}

/** Rules whose match can turn a denial by default into something better; a restrictive rule that may not match is left out. */
function isOpening(effect: Effect | null): boolean {
  return effect !== null && effect !== 'DENY'
}

/** Every record that tool and environment leave possible. */
function* recordsFor(programs: ProgramSection, { tool, environmentRow }: Frame): Iterable<number> {
  for (let at = tool.start; at < tool.end; at++) {
    const program = programs.byPattern[tool.ids[at]!]!
    if (program >= 0) yield* recordsOf(programs, program, environmentRow)
  }
  yield* recordsOf(programs, programs.everyTool, environmentRow)
}

function settle(record: number, { programs, predicates, frame }: PolicySet): 'never' | 'maybe' | 'always' {
  const { code } = programs
  let applies: 'maybe' | 'always' = 'always'
  const head = code[record + 1]!
  const end = record + 2 + (head >> 1)
  for (let at = record + 2; at < end; at++) {
    const predicate = code[at]!
    if (predicates.section.readsRequest[predicate] === 1) {
      applies = 'maybe'
      continue
    }
    const truth = frame.truth(predicate)
    if (truth === FALSE || (truth === UNKNOWN && (head & 1) === 0)) return 'never'
  }
  return applies
}

function callOf(tool: string, { agent, principal, environment, tenant }: VisibleToolsQuery): Call {
  return {
    requestId: '',
    tenant,
    agent,
    principal,
    sessionId: '',
    delegationChain: [],
    tool,
    environment,
    arguments: {},
    context: {},
  }
}

import type { Entry } from '../compiler/entry.js'
import type { DeclaredTool, PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, UNKNOWN } from '../compiler/predicate/truth.js'
import type { Call, Subject } from '../model/call.js'
import { combine } from './combine.js'

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
  return [...policySet.tools.values()].filter((tool) => isVisible(tool.name, query, policySet))
}

function isVisible(tool: string, query: VisibleToolsQuery, policySet: PolicySet): boolean {
  const { frame, index, entries, always } = policySet
  frame.begin(callOf(tool, query), query.nowMs)
  try {
    // Per layer, the most lenient findings that some call may have: what is certain, and every opening rule that is possible.
    const findings = { ...always.findings }
    for (const number of index.applicable(tool, query.environment)) {
      const entry = entries[number]!
      const applies = settle(entry, policySet, frame)
      if (applies === 'always' || (applies === 'maybe' && isOpening(entry))) findings[entry.layer] |= entry.finding
    }
    return combine(findings.fleet, findings.tenant).outcome !== 'DENY'
  } finally {
    frame.end()
  }
}

/** Rules whose match can turn a denial by default into something better; a restrictive rule that may not match is left out. */
function isOpening(entry: Entry): boolean {
  return entry.kind === 'rule' && entry.effect !== 'DENY'
}

function settle(entry: Entry, { predicates }: PolicySet, frame: Frame): 'never' | 'maybe' | 'always' {
  let applies: 'maybe' | 'always' = 'always'
  const conditions = entry.clauses.map((clause) => clause.predicate)
  for (const predicate of [...entry.scope, ...conditions]) {
    if (predicates.dependences[predicate] === 'request') {
      applies = 'maybe'
      continue
    }
    const truth = frame.truth(predicate)
    if (truth === FALSE || (truth === UNKNOWN && !entry.unknownMatches)) return 'never'
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

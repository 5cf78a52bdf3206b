import type { ApprovalRequirement } from '../model/decision.js'

/** One requirement for all that ask for the same, in the order in which they were first asked. All must be met. */
export function mergeRequirements(asked: readonly ApprovalRequirement[]): readonly ApprovalRequirement[] {
  if (asked.length < 2) return asked
  const merged = new Map<string, ApprovalRequirement>()
  for (const requirement of asked) {
    const key = contentOf(requirement)
    const known = merged.get(key)
    if (known === undefined) merged.set(key, requirement)
    else merged.set(key, { ...known, ruleIds: [...new Set([...known.ruleIds, ...requirement.ruleIds])] })
  }
  return [...merged.values()]
}

/** Everything but who asks. The groups of one stage are all to be met, so their order says nothing. */
function contentOf({ ruleIds, ...content }: ApprovalRequirement): string {
  void ruleIds
  const stages = content.stages.map(({ from }) => from.map(({ count, role }) => JSON.stringify([role, count])).sort())
  return JSON.stringify({ ...content, stages })
}

import { isMatch, type RequirementDraft } from '../compiler/approval.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE } from '../compiler/predicate/truth.js'
import type { Value } from '../compiler/predicate/value.js'
import type { ApprovalRequirement, ApprovalStage, AttributeMatch } from '../model/decision.js'

/** A longer text is nobody's attribute: what the call brings must not swell the answer. */
const MAX_ATTRIBUTE = 256

/**
 * What a draft comes to for one call: a stage whose condition is false is left out, one whose condition is unknown is asked.
 *
 * @param frame begun for the call
 */
export function settle(draft: RequirementDraft, frame: Frame): ApprovalRequirement {
  const stages: ApprovalStage[] = []
  for (const { from, condition } of draft.stages) {
    if (condition !== null && frame.truth(condition) === FALSE) continue
    stages.push({
      from: from.map(({ count, role, where }) => ({
        count,
        role,
        where: where.map((one) =>
          isMatch(one) ? one : { attribute: one.attribute, value: toAttributeValue(frame.slot(one.slot)) },
        ),
      })),
    })
  }
  return { ...draft, stages }
}

/** The requirement of a draft that every call settles in the same way. */
export function settled(draft: RequirementDraft): ApprovalRequirement {
  return {
    ...draft,
    stages: draft.stages.map(({ from }) => ({
      from: from.map((group) => ({ ...group, where: group.where.filter(isMatch) })),
    })),
  }
}

function toAttributeValue(value: Value): AttributeMatch['value'] {
  switch (typeof value) {
    case 'string':
      return value.length <= MAX_ATTRIBUTE ? value : null
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'boolean':
      return value
    default:
      return null
  }
}

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

/** Everything but who asks. The order of groups in a stage, of attributes, of arguments and of grants says nothing. */
function contentOf({ ruleIds, ...content }: ApprovalRequirement): string {
  void ruleIds
  const stages = content.stages.map(({ from }) =>
    sorted(
      from.map(({ count, role, where }) => [
        role,
        count,
        sorted(where.map(({ attribute, value }) => [attribute, value])),
      ]),
    ),
  )
  const mayRemember = content.mayRemember.map((offer) => ({ ...offer, paths: sorted(offer.paths) }))
  return JSON.stringify({
    ...content,
    stages,
    mayEdit: sorted(content.mayEdit),
    mayRemember: sorted(mayRemember),
  })
}

function sorted(items: readonly unknown[]): readonly string[] {
  return items.map((item) => JSON.stringify(item)).sort()
}

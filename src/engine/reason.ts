import type { RequirementDraft } from '../compiler/approval.js'
import type { DefaultEntry, Layer } from '../compiler/entry.js'
import type { MatchedRule } from '../model/decision.js'

/** What decided: a rule of some layer, a default, or that no policy speaks. */
export type Decider =
  | {
      readonly kind: 'rule'
      readonly layer: Layer
      readonly rule: MatchedRule
      readonly approval: RequirementDraft | null
    }
  | { readonly kind: 'default'; readonly entry: DefaultEntry }
  | { readonly kind: 'no-policy' }
  /** More rules than `most` would have to be met together. */
  | { readonly kind: 'too-many'; readonly most: number }

/** Who is asked, stage by stage. */
interface Asked {
  readonly stages: readonly { readonly from: readonly { readonly count: number; readonly role: string }[] }[]
}

/** What a draft comes to for the call, where that depends on it. */
type AskedBy = (draft: RequirementDraft) => Asked
const asDrafted: AskedBy = (draft) => draft

/** One sentence for people and for the agent. Holds policy text only, never text of the call, which may be hostile. */
export function explainReason(
  decider: Decider,
  others: number,
  isUndeclaredTool: boolean,
  askedBy: AskedBy = asDrafted,
): string {
  switch (decider.kind) {
    case 'rule':
      return ruleReason(decider, others, askedBy)
    case 'default':
      return `${defaultReason(decider.entry, askedBy)}${isUndeclaredTool ? '; no policy declares this tool' : ''}.`
    case 'too-many':
      return `More than ${decider.most} rules that allow this call or ask for approval match it, more than an answer can ask to be met together, so it is denied.`
    case 'no-policy':
      return `No policy of the tenant speaks for this call, so it is denied${isUndeclaredTool ? '; no policy declares this tool' : ''}.`
  }
}

function ruleReason(
  { rule, layer, approval }: Extract<Decider, { kind: 'rule' }>,
  others: number,
  askedBy: AskedBy,
): string {
  const name = `${layer === 'fleet' ? 'Fleet rule' : 'Rule'} ${rule.ruleId}`
  const why = rule.why !== '' ? rule.why : rule.description
  const because = why === '' ? '' : `: ${why}`
  const more = others === 0 ? '' : ` (and ${others} more ${others === 1 ? 'rule' : 'rules'})`
  const unknown = rule.indeterminate ? ', which could not be evaluated for this call and so counts as matched,' : ''
  return `${name}${unknown} ${verb(rule, approval && askedBy(approval))}${because.replace(/[.\s]+$/, '')}${more}.`
}

function verb(rule: MatchedRule, approval: Asked | null): string {
  switch (rule.effect) {
    case 'ALLOW':
      return 'allows this call'
    case 'DENY':
      return 'denies this call'
    case 'REQUIRE_APPROVAL':
      return `requires approval from ${approvers(approval)}`
    case 'DENY_EXCEPT_APPROVAL':
      return `denies this call unless approved by ${approvers(approval)}`
  }
}

function defaultReason({ policy, outcome, approval, layer }: DefaultEntry, askedBy: AskedBy): string {
  const name = layer === 'fleet' ? 'fleet policy' : 'policy'
  switch (outcome) {
    case 'ALLOW':
      return `No rule matches, and ${name} ${policy} allows by default`
    case 'DENY':
      return `No rule allows this call, and ${name} ${policy} denies by default`
    case 'REQUIRE_APPROVAL':
      return `No rule allows this call, and ${name} ${policy} requires approval from ${approvers(approval && askedBy(approval))} by default`
  }
}

function approvers(approval: Asked | null): string {
  const stages = approval?.stages ?? []
  return stages
    .map(({ from }) => from.map(({ count, role }) => (count === 1 ? role : `${count} of ${role}`)).join(' and '))
    .join(', then ')
}

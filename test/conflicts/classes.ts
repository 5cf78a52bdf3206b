import type { ApprovalClause, Expr } from '../../src/language/ast.js'
import { type Builder, type DefaultKind, EFFECTS, type EffectKind, type PolicyDraft, type RuleWish } from './builder.js'
import type { Topic, Truth } from './conditions.js'
import {
  arithmetic,
  call,
  compare,
  exists,
  labelled,
  list,
  literal,
  literalName,
  logical,
  not,
  reference,
  relation,
  SPAN,
  scope,
  UNDECLARED,
} from './model.js'
import { DATES, LABELS } from './vocabulary.js'

/** A way in which rules conflict: what every set of the class has. */
export interface ConflictClass {
  readonly name: string
  /** One line, for the table and the format page. */
  readonly about: string
  readonly build: (b: Builder) => void
}

/** So that ALLOW and approvals are answers as often as denials: one restrictive rule decides over any number of others. */
const MIXED: readonly EffectKind[] = ['deny', 'deny-except', 'require-approval', 'allow', 'allow', 'allow']

/** A rule of any effect; restrictive ones nearly match more often than they do. */
function mixed(b: Builder, policies: readonly PolicyDraft[], wish: RuleWish = {}): void {
  const kind = b.pick(MIXED)
  const truths = kind === 'allow' ? (['true', 'true', 'true', 'unknown'] as const) : NEARLY
  b.rule(b.pick(policies), kind, { truth: b.pick(truths), ...wish })
}
const NEARLY = ['false', 'false', 'true', 'unknown'] as const

const RESTRICTIVE = ['deny', 'deny-except', 'require-approval'] as const

/** Two effects on one call, one or two rules of each. */
function against(one: EffectKind, other: EffectKind): (b: Builder) => void {
  return (b) => {
    const policies = [b.own(), ...(b.chance(3) ? [b.own()] : [])]
    b.rules(b.pick(policies), b.between(1, 2), one)
    b.rules(b.pick(policies), b.between(1, 2), other)
    b.noise(policies)
  }
}

/** A rule of some effect against the default of its own policy. */
function overDefault(kinds: readonly EffectKind[], by: DefaultKind): (b: Builder) => void {
  return (b) => {
    const policy = b.own(by)
    b.rules(policy, b.between(1, 2), b.pick(kinds))
    b.noise([policy])
  }
}

/** A rule of one layer against one of the other. */
function acrossLayers(fleet: readonly EffectKind[], own: readonly EffectKind[]): (b: Builder) => void {
  return (b) => {
    const above = b.fleet(b.pick(['allow', 'allow', 'deny', 'approval']))
    const below = b.own()
    b.rules(above, b.between(1, 2), b.pick(fleet))
    b.rules(below, b.between(1, 2), b.pick(own))
    b.noise([above, below])
  }
}

/** Rules that cannot be evaluated for the focus, among rules that can. */
function unknown(kinds: readonly EffectKind[], others: readonly EffectKind[], topics?: readonly Topic[]) {
  return (b: Builder): void => {
    const policy = b.own()
    const about = topics === undefined ? {} : { topics }
    b.rules(policy, b.between(1, 2), b.pick(kinds), { truth: 'unknown', ...about })
    b.rules(policy, b.between(0, 2), b.pick(others), { ...about })
    b.noise([policy])
  }
}

/** Every effect over conditions of one kind, so that values of requests decide which of them conflict. */
function over(...topics: readonly Topic[]): (b: Builder) => void {
  return (b) => {
    const policy = b.own()
    for (let i = b.between(4, 6); i > 0; i--) {
      mixed(b, [policy], { topics })
    }
    b.changes.push('revalue', 'revalue', 'garble', 'mistype', 'drop')
    b.noise([policy])
  }
}

function connectives(kind: 'and' | 'or' | 'not'): (b: Builder) => void {
  return (b) => {
    const policy = b.own()
    for (let i = b.between(3, 5); i > 0; i--) {
      const effect = b.pick(MIXED)
      const truth = b.pick(effect === 'allow' ? (['true', 'true', 'unknown'] as const) : NEARLY)
      b.rule(policy, effect, { conditions: [b.conditions.connective(truth, kind)] })
    }
    b.changes.push('drop', 'drop', 'mistype')
  }
}

/** Rules whose scopes overlap in names of one kind. */
function scopes(on: 'tool' | 'env' | 'agent' | 'label' | 'principal'): (b: Builder) => void {
  return (b) => {
    const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
    for (let i = b.between(4, 7); i > 0; i--) {
      mixed(b, policies, { scope: [b.term(!b.chance(3), on), ...(b.chance(4) ? [b.term(true)] : [])] })
    }
    const change = { tool: 'tool', env: 'env', agent: 'agent', label: 'agent', principal: 'principal' } as const
    b.changes.push(...Array.from({ length: 8 }, () => change[on]))
  }
}

function monitored(kind: readonly EffectKind[], truth: Truth): (b: Builder) => void {
  return (b) => {
    const policies = [b.own(), ...(b.chance(3) ? [b.fleet()] : [])]
    b.rules(b.pick(policies), b.between(1, 2), b.pick(kind), { monitor: true, truth })
    b.rules(b.pick(policies), b.between(0, 2), b.pick(EFFECTS))
    b.noise(policies)
  }
}

/** Approval clauses that are equal, equal in all but the order of groups, or equal in all but one thing. */
function likeClauses(b: Builder): void {
  const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
  const clause = b.approval()
  const [first] = clause.stages
  const variants: ApprovalClause[] = [
    clause,
    clause,
    { ...clause, stages: [{ ...first!, from: [...first!.from].reverse() }, ...clause.stages.slice(1)] },
    { ...clause, notByRequester: !clause.notByRequester },
    { ...clause, validForMs: 3_600_000 },
    { ...clause, stages: [...clause.stages, { ...first!, from: [{ ...first!.from[0]!, count: 3 }] }] },
    { ...clause, stages: [{ ...first!, from: first!.from.map((group) => ({ ...group, count: group.count + 1 })) }] },
  ]
  for (let i = b.between(3, 5); i > 0; i--) {
    const approval = fresh(b.pick(variants))
    const effect = b.chance(3)
      ? ({ kind: 'deny-except', why: '', approval, span: SPAN } as const)
      : ({ kind: 'require-approval', approval, span: SPAN } as const)
    b.rule(b.pick(policies), effect.kind, { effect })
  }
  b.noise(policies)
}

/** A copy of its own, so that a template replaces the roles of one rule only. */
function fresh(clause: ApprovalClause): ApprovalClause {
  return {
    ...clause,
    stages: clause.stages.map(({ from, condition }) => ({
      from: from.map((group) => ({ ...group, role: { ...group.role } })),
      condition,
    })),
  }
}

function tenantTags(b: Builder): void {
  const { tool } = b.focus.call
  const above = b.fleet(b.pick(['allow', 'deny', 'approval']))
  const below = b.own(b.pick(['allow', 'allow', 'deny', 'approval']))
  b.declared = b.declared.filter((name) => name !== tool)
  b.tag('own', tool, ['danger', 'money'])
  b.rules(above, b.between(1, 3), b.pick(EFFECTS), { scope: [b.tagTerm(b.pick(['danger', 'money']))] })
  b.rules(b.pick([above, below]), b.between(0, 2), b.pick(EFFECTS))
  if (b.chance(2)) b.rule(above, b.pick(EFFECTS), { scope: [b.tagTerm('egress')] })
  b.changes.push('tool', 'tool', 'tool')
}

function undeclaredTools(b: Builder): void {
  const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
  if (b.declared.length === 0) b.declared = ['issue_refund', 'db.query']
  for (let i = b.between(2, 4); i > 0; i--) {
    const names = b.chance(2) ? [UNDECLARED] : [UNDECLARED, literalName(b.focus.call.tool)]
    const others = b.chance(3) ? [b.term(true)] : []
    mixed(b, policies, { scope: [scope('tool', ...names), ...others] })
  }
  b.noise(policies)
  b.changes.push('invented', 'invented', 'invented', 'invented', 'tool', 'tool', 'tool')
}

function undeclaredArguments(b: Builder): void {
  const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
  if (b.declared.length === 0 || b.chance(2)) b.declared = [...new Set([...b.declared, b.focus.call.tool])]
  // All of the focus's arguments are declared, so that only what a request adds is not.
  b.extraParameters.push(...Object.keys(b.focus.call.arguments))
  const extra = call('undeclared', reference('args'))
  const about: Expr[] = [
    compare(call('count', extra), '>', literal(0)),
    relation(extra, 'intersects', list(['force', 'zzz'])),
    relation(extra, 'subset', list(['zzz'])),
  ]
  for (let i = b.between(2, 4); i > 0; i--) {
    const condition = b.pick(about)
    mixed(b, policies, { conditions: [b.chance(3) ? not(condition) : condition] })
  }
  b.noise(policies)
  b.changes.push('extra', 'extra', 'extra', 'extra', 'invented', 'tool', 'empty')
}

/** Many rules that tell themselves apart by one value, for which engines keep tables. */
function manyByValue(b: Builder): void {
  const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
  const on = b.pick(['argument', 'agent', 'label'] as const)
  const tool = b.chance(2) ? [b.term(true, 'tool')] : []
  for (let i = 0; i < 12; i++) {
    const value = b.pick(['k1', 'k2', 'k3', 'k7', 'refund', 'credit', `k${i}`])
    const kind = reference('args', 'kind')
    const condition = b.chance(3)
      ? relation(kind, 'in', list([value, `k${i}`]))
      : compare(kind, '==', literal(b.chance(8) ? '' : value))
    const scopes = {
      argument: [],
      agent: [scope('agent', literalName(b.pick(['support-1', 'support-2', 'ops-bot', `bot-${i}`])))],
      label: [labelled('agent', 'team', literalName(b.pick([...LABELS.team, `team${i}`])))],
    }
    const conditions = on === 'argument' || b.chance(3) ? [condition] : []
    mixed(b, policies, { scope: [...tool, ...scopes[on]], conditions, fromTemplate: false })
  }
  b.changes.push('revalue', 'revalue', 'drop', 'agent', 'agent')
}

/** Many rules that bound one number, for which engines keep trees. */
function manyByBound(b: Builder): void {
  const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
  const tool = b.chance(2) ? [b.term(true, 'tool')] : []
  const amount = reference('args', 'amount')
  const limits = [-100, -1, 0, 1, 5, 99, 100, 101, 250.5, 1000, 2 ** 53 - 1]
  for (let i = 0; i < 18; i++) {
    const conditions = [compare(amount, b.pick(['<', '<=', '>', '>='] as const), literal(b.pick(limits)))]
    if (b.chance(3)) conditions.push(compare(literal(b.pick(limits)), b.pick(['<', '>='] as const), amount))
    mixed(b, policies, { scope: tool, conditions, fromTemplate: false })
  }
  b.changes.push('revalue', 'revalue', 'revalue', 'drop', 'mistype')
}

/** One condition in many rules, in one spelling or another. */
function sharedConditions(b: Builder): void {
  const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
  const shared = b.conditions.of(b.pick(['true', 'false', 'unknown'] as const))
  for (let i = b.between(3, 5); i > 0; i--) {
    const other = b.conditions.of(b.pick(['true', 'unknown'] as const))
    const forms: Expr[][] = [
      [shared],
      [not(not(shared))],
      [logical('and', [shared, other])],
      [other, shared],
      [not(shared)],
    ]
    mixed(b, policies, { conditions: b.pick(forms) })
  }
}

function guards(b: Builder): void {
  const policy = b.own()
  for (let i = b.between(2, 4); i > 0; i--) {
    const name = b.pick(['amount', 'count', 'limit'])
    const of = reference('args', name)
    const above = compare(of, '>', literal(b.pick([0, 5, 100])))
    const forms: Expr[] = [
      logical('and', [exists(of), above]),
      logical('or', [not(exists(of)), above]),
      not(logical('and', [exists(of), not(above)])),
      logical('and', [exists(of), compare(of, '!=', literal(null)), above]),
      above,
    ]
    mixed(b, [policy], { conditions: [b.pick(forms)] })
  }
  b.noise([policy])
  b.changes.push('drop', 'drop', 'drop', 'mistype', 'mistype', 'empty')
}

function exactNumbers(b: Builder): void {
  const policy = b.own()
  const [amount, count] = [reference('args', 'amount'), reference('args', 'count')]
  const edge = literal(2 ** 53 - 1)
  const forms = (): Expr[] => [
    compare(amount, b.pick(['<', '<=', '>', '>=', '==', '!='] as const), edge),
    compare(
      arithmetic(amount, b.pick(['+', '-'] as const), literal(b.pick([0, 1, 2]))),
      b.pick(['>', '=='] as const),
      edge,
    ),
    compare(amount, b.pick(['==', '<'] as const), count),
    compare(arithmetic(amount, '*', literal(b.pick([1, 2]))), '>', arithmetic(count, '+', edge)),
    compare(arithmetic(amount, '/', literal(b.pick([0, 2]))), b.pick(['>', '<='] as const), literal(50)),
  ]
  for (let i = b.between(3, 5); i > 0; i--) mixed(b, [policy], { conditions: [b.pick(forms())] })
  b.changes.push('revalue', 'revalue', 'revalue', 'revalue')
}

function activeDates(b: Builder): void {
  const policies = [b.own(), ...(b.chance(3) ? [b.fleet()] : [])]
  for (let i = b.between(3, 5); i > 0; i--) {
    const [from, until] = [b.pick(DATES.slice(0, 3)), b.pick(DATES.slice(3))]
    const active = b.pick([
      { fromMs: from, untilMs: until },
      { fromMs: b.pick(DATES), untilMs: null },
      { fromMs: null, untilMs: b.pick(DATES) },
    ])
    mixed(b, policies, { active })
  }
  b.noise(policies)
  b.changes.push('time', 'time', 'time', 'time', 'time')
}

function speaking(b: Builder): void {
  const policies: PolicyDraft[] = []
  for (let i = b.between(2, 4); i > 0; i--) {
    policies.push(b.own(b.pick(['allow', 'deny', 'approval'] as const), b.chance(3) ? [] : [b.term(!b.chance(3))]))
  }
  b.rules(b.pick(policies), b.between(0, 2), b.pick(EFFECTS))
  b.noise(policies)
  b.changes.push('tool', 'env', 'agent', 'principal')
}

function silent(b: Builder): void {
  if (b.chance(3)) b.fleet(b.pick(['allow', 'deny', 'approval'] as const))
  const above = b.fleet('allow')
  const below = b.own('allow', [b.term(false)])
  b.rules(above, b.between(1, 2), b.pick(EFFECTS))
  b.rules(below, b.between(1, 2), b.pick(EFFECTS))
  b.changes.push('tool', 'tool', 'env', 'agent', 'tenant', 'tenant')
}

function tenantTerms(b: Builder): void {
  const above = b.fleet()
  const below = b.own()
  const other = b.of(b.tenant === 'acme' ? 'globex' : 'acme', b.pick(['allow', 'deny'] as const))
  for (let i = b.between(2, 4); i > 0; i--) {
    const tenants = b.pick([['acme'], ['globex'], ['acme', 'globex'], ['initech']])
    b.rule(above, b.pick(EFFECTS), { scope: [scope('tenant', ...tenants.map(literalName)), ...b.scope(true)] })
  }
  b.rules(below, b.between(1, 2), b.pick(EFFECTS))
  b.rules(other, b.between(1, 2), b.pick(EFFECTS))
  b.changes.push('tenant', 'tenant', 'tenant', 'tenant', 'tenant', 'tenant')
}

function tagScopes(b: Builder): void {
  const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
  b.declared = ['issue_refund', 'pay.transfer', 'send_email', 'db.query', 'db.admin.drop', 'shell_run']
  for (let i = b.between(3, 6); i > 0; i--) {
    const tag = b.tagTerm(b.pick(['money', 'egress', 'data', 'danger']))
    const both = b.chance(3) ? [tag, b.term(true)] : [tag]
    mixed(b, policies, { scope: both })
  }
  b.changes.push('tool', 'tool', 'tool', 'tool', 'tool', 'tool')
}

function windows(b: Builder): void {
  over('clock')(b)
  b.changes.push('time', 'time', 'time', 'time', 'time', 'time', 'time', 'time')
}

function contexts(b: Builder): void {
  over('context')(b)
  b.changes.push('context', 'context', 'context', 'context', 'context')
}

function identities(b: Builder): void {
  over('identity')(b)
  b.changes.push('env', 'agent', 'agent', 'principal', 'principal', 'tool')
}

function obligations(more: readonly EffectKind[]): (b: Builder) => void {
  return (b) => {
    const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
    for (let i = b.between(2, 4); i > 0; i--) {
      const effect = { kind: 'allow', obligations: b.obligations(), span: SPAN } as const
      b.rule(b.pick(policies), 'allow', { effect })
    }
    if (more.length > 0) b.rules(b.pick(policies), b.between(1, 2), b.pick(more))
    b.noise(policies)
  }
}

function everything(b: Builder): void {
  const policies = [b.own(), b.own(), b.fleet(), ...(b.chance(2) ? [b.fleet('approval')] : [])]
  for (let i = b.between(8, 14); i > 0; i--) {
    mixed(b, policies, {
      fits: !b.chance(4),
      monitor: b.chance(6),
      unknownMeansNoMatch: b.chance(6),
      ...(b.chance(6) ? { active: { fromMs: b.pick(DATES), untilMs: null } } : {}),
    })
  }
  b.changes.push('extra', 'invented', 'principal', 'context', 'empty', 'tenant')
}

export const CLASSES: readonly ConflictClass[] = [
  // Effects against each other.
  { name: 'deny-over-allow', about: 'DENY and ALLOW match', build: against('deny', 'allow') },
  { name: 'deny-over-approval', about: 'DENY and REQUIRE_APPROVAL match', build: against('deny', 'require-approval') },
  { name: 'deny-over-exception', about: 'DENY and DENY except approval match', build: against('deny', 'deny-except') },
  {
    name: 'approval-over-allow',
    about: 'REQUIRE_APPROVAL and ALLOW match',
    build: against('require-approval', 'allow'),
  },
  {
    name: 'exception-over-allow',
    about: 'DENY except approval and ALLOW match',
    build: against('deny-except', 'allow'),
  },
  {
    name: 'exception-beside-approval',
    about: 'DENY except approval and REQUIRE_APPROVAL match',
    build: against('deny-except', 'require-approval'),
  },
  {
    name: 'same-effect',
    about: 'several rules say the same',
    build: (b) => against(b.pick(EFFECTS), b.pick(EFFECTS))(b),
  },
  // Defaults.
  {
    name: 'allow-over-default',
    about: 'ALLOW against a default that denies or asks',
    build: (b) => overDefault(['allow'], b.pick(['deny', 'approval']))(b),
  },
  {
    name: 'restriction-over-default',
    about: 'a restrictive rule against a default that allows',
    build: overDefault(RESTRICTIVE, 'allow'),
  },
  {
    name: 'default-deny',
    about: 'a default that denies, rules that match or nearly do',
    build: overDefault(EFFECTS, 'deny'),
  },
  {
    name: 'default-approval',
    about: 'a default that asks for approval, rules that ask, too',
    build: overDefault(EFFECTS, 'approval'),
  },
  { name: 'several-defaults', about: 'several policies speak, each with its default', build: speaking },
  { name: 'no-policy', about: 'no policy of the tenant speaks, whatever the fleet says', build: silent },
  // Layers.
  {
    name: 'fleet-denies',
    about: 'the fleet restricts what the tenant allows',
    build: acrossLayers(RESTRICTIVE, ['allow']),
  },
  {
    name: 'fleet-never-opens',
    about: 'the fleet allows what the tenant restricts',
    build: acrossLayers(['allow'], RESTRICTIVE),
  },
  {
    name: 'both-layers-ask',
    about: 'both layers ask for approval',
    build: acrossLayers(['require-approval', 'deny-except'], ['require-approval', 'deny-except']),
  },
  {
    name: 'layers-mixed',
    about: 'any rule of one layer against any of the other',
    build: acrossLayers(EFFECTS, EFFECTS),
  },
  { name: 'tenant-terms', about: 'fleet rules about some tenants', build: tenantTerms },
  { name: 'tenant-tags', about: 'a tag of the tenant brings a tool under rules of the fleet', build: tenantTags },
  // Unknown conditions.
  {
    name: 'unknown-deny',
    about: 'a DENY that cannot be evaluated counts',
    build: unknown(['deny'], ['allow', 'allow', 'require-approval']),
  },
  {
    name: 'unknown-approval',
    about: 'a REQUIRE_APPROVAL that cannot be evaluated counts',
    build: unknown(['require-approval', 'deny-except'], ['allow']),
  },
  {
    name: 'unknown-allow',
    about: 'an ALLOW that cannot be evaluated does not count',
    build: unknown(['allow'], EFFECTS),
  },
  {
    name: 'unknown-beside-known',
    about: 'the same effect with and without unknown',
    build: (b) => {
      const kind = b.pick(RESTRICTIVE)
      unknown([kind], [kind])(b)
    },
  },
  {
    name: 'unknown-means-no-match',
    about: 'rules that say `unknown means no match`',
    build: (b) => {
      const policy = b.own()
      b.rules(policy, b.between(1, 2), b.pick(RESTRICTIVE), { truth: 'unknown', unknownMeansNoMatch: true })
      b.rules(policy, b.between(1, 2), b.pick(EFFECTS), { truth: b.pick(['true', 'unknown'] as const) })
      b.noise([policy])
    },
  },
  {
    name: 'unknown-across-layers',
    about: 'one layer cannot be evaluated, the other can',
    build: (b) => {
      const [above, below] = [b.fleet(), b.own()]
      const [first, second] = b.chance(2) ? [above, below] : [below, above]
      b.rules(first, b.between(1, 2), b.pick(EFFECTS), { truth: 'unknown' })
      b.rules(second, b.between(1, 2), b.pick(EFFECTS))
      b.noise([above, below])
    },
  },
  {
    name: 'unparseable-text',
    about: 'views of texts that do not parse',
    build: unknown(RESTRICTIVE, ['allow'], ['sql', 'url', 'email', 'path', 'ip', 'shell', 'json']),
  },
  { name: 'connective-and', about: '`and` with unknown: false wins', build: connectives('and') },
  { name: 'connective-or', about: '`or` with unknown: true wins', build: connectives('or') },
  { name: 'connective-not', about: '`not` of unknown stays unknown', build: connectives('not') },
  { name: 'guards', about: '`exists` before a comparison', build: guards },
  { name: 'quantifiers', about: '`any` and `all` over lists with unfit items', build: over('quantifiers') },
  // Modes and modifiers.
  { name: 'monitor-restriction', about: 'a restrictive rule in monitor mode', build: monitored(RESTRICTIVE, 'true') },
  { name: 'monitor-allow', about: 'an ALLOW in monitor mode', build: monitored(['allow'], 'true') },
  {
    name: 'monitor-unknown',
    about: 'a rule in monitor mode that cannot be evaluated',
    build: monitored(EFFECTS, 'unknown'),
  },
  { name: 'active-dates', about: 'rules that come into force and expire', build: activeDates },
  {
    name: 'templates',
    about: 'conflicts of rules made from templates',
    build: (b) => {
      const policies = [b.own(), ...(b.chance(2) ? [b.fleet()] : [])]
      for (let i = b.between(3, 5); i > 0; i--) mixed(b, policies, { fromTemplate: true })
    },
  },
  // Approvals and obligations.
  { name: 'like-requirements', about: 'requirements that are equal, or in all but one thing', build: likeClauses },
  { name: 'obligations', about: 'several ALLOW rules with obligations', build: obligations([]) },
  {
    name: 'obligations-restricted',
    about: 'obligations beside rules that deny or ask',
    build: obligations(RESTRICTIVE),
  },
  // Scopes.
  { name: 'scope-tools', about: 'names, globs and sets of tools overlap', build: scopes('tool') },
  { name: 'scope-tags', about: 'tags of tools overlap', build: tagScopes },
  { name: 'scope-environments', about: 'environments overlap', build: scopes('env') },
  { name: 'scope-agents', about: 'ids of agents overlap', build: scopes('agent') },
  { name: 'scope-labels', about: 'labels of agents overlap', build: scopes('label') },
  { name: 'scope-principals', about: 'principals overlap, or there is none', build: scopes('principal') },
  { name: 'undeclared-tools', about: '`tool undeclared` against named tools', build: undeclaredTools },
  { name: 'undeclared-arguments', about: '`undeclared(args)`', build: undeclaredArguments },
  // Conditions.
  { name: 'many-by-value', about: 'a dozen rules told apart by one value', build: manyByValue },
  { name: 'many-by-bound', about: 'a dozen and a half rules that bound one number', build: manyByBound },
  { name: 'shared-conditions', about: 'one condition in several rules', build: sharedConditions },
  { name: 'exact-numbers', about: 'integers beyond 2^53, fractions, division by zero', build: exactNumbers },
  { name: 'numbers', about: 'comparisons and sums', build: over('numbers', 'arithmetic') },
  { name: 'texts', about: 'equality, parts and patterns of texts', build: over('texts', 'patterns') },
  { name: 'lists', about: 'lists and named lists', build: over('lists') },
  {
    name: 'maps-and-functions',
    about: 'fields of maps, functions, existence',
    build: over('maps', 'functions', 'existence', 'flags'),
  },
  { name: 'identity', about: 'agents, principals, environments in conditions', build: identities },
  { name: 'context', about: 'facts that the caller vouches for', build: contexts },
  { name: 'time-windows', about: 'hours, weekdays, time zones, summer time', build: windows },
  {
    name: 'views',
    about: 'SQL, URLs, addresses, paths, commands, JSON',
    build: over('sql', 'url', 'email', 'path', 'ip', 'shell', 'json'),
  },
  { name: 'everything', about: 'eight to fourteen rules of all kinds in four policies', build: everything },
]

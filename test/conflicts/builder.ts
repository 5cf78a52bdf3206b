import type { ApprovalClause, DefaultEffect, Expr, NamePattern, RuleEffect, ScopeTerm } from '../../src/language/ast.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import type { Draw } from '../reference/draw.js'
import { argumentsRead, Conditions, NAMED_LISTS, namesIn, type Topic, type Truth } from './conditions.js'
import {
  glob,
  labelled,
  literalName,
  type Model,
  type ModelLayer,
  type ModelPolicy,
  type ModelRule,
  SPAN,
  scope,
  tagged,
} from './model.js'
import { SPECIMENS } from './specimens.js'
import {
  AGENTS,
  type Asked,
  argument,
  CHANNELS,
  DATES,
  ENVIRONMENTS,
  INSTANTS,
  LABELS,
  once,
  PARAMETER_NAMES,
  PARAMETERS,
  PRINCIPALS,
  pick,
  ROLES,
  some,
  subject,
  TOOLS,
} from './vocabulary.js'

export type EffectKind = RuleEffect['kind']
export type DefaultKind = 'allow' | 'deny' | 'approval'
export const EFFECTS: readonly EffectKind[] = ['deny', 'deny-except', 'require-approval', 'allow']

/** What a recipe fixes of a rule; the rest is drawn. */
export interface RuleWish {
  /** Of its conditions, for the call that the set is built around; `always` has none. */
  readonly truth?: Truth | 'always'
  /** Whether its scope fits that call. */
  readonly fits?: boolean
  readonly scope?: readonly ScopeTerm[]
  readonly conditions?: readonly Expr[]
  readonly topics?: readonly Topic[]
  readonly effect?: RuleEffect
  readonly monitor?: boolean
  readonly active?: ModelRule['active']
  readonly unknownMeansNoMatch?: boolean
  readonly fromTemplate?: boolean
}

export interface PolicyDraft {
  readonly name: string
  readonly fleet: boolean
  readonly speaksFor: readonly ScopeTerm[]
  readonly defaultEffect: DefaultEffect
  readonly rules: ModelRule[]
}

/** A way in which a request differs from the one that the set is built around. */
export type Change =
  | 'drop'
  | 'mistype'
  | 'garble'
  | 'revalue'
  | 'empty'
  | 'extra'
  | 'tool'
  | 'invented'
  | 'env'
  | 'agent'
  | 'principal'
  | 'time'
  | 'context'
  | 'tenant'

interface LayerDraft {
  readonly policies: PolicyDraft[]
  readonly tags: Map<string, string[]>
}

/** Puts one policy set together around one call, its focus. */
export class Builder {
  readonly focus: Asked
  readonly conditions: Conditions
  /** What requests of this set vary; a class adds what it is about. */
  readonly changes: Change[] = ['drop', 'mistype', 'garble', 'revalue', 'env', 'tool', 'agent', 'time']
  /** Tools that are declared; the parameters follow from what the rules read. */
  declared: string[]
  readonly extraParameters: string[] = []
  #next = 0
  readonly #layers = new Map<string, LayerDraft>()
  readonly #ids = new Set<string>()
  readonly #clauses: ApprovalClause[] = []

  constructor(
    readonly draw: Draw,
    readonly tenant: string,
  ) {
    this.focus = this.#focus()
    this.conditions = new Conditions(draw, this.focus, NAMED_LISTS)
    this.declared = once(draw, 4) ? [] : some(draw, TOOLS).map(({ name }) => name)
  }

  chance(of: number): boolean {
    return once(this.draw, of)
  }
  pick<T>(items: readonly T[]): T {
    return pick(this.draw, items)
  }
  /** From `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.draw.int(most - least + 1)
  }

  // -------------------------------------------------------------- policies

  fleet(by: DefaultKind = 'allow', speaksFor: readonly ScopeTerm[] = []): PolicyDraft {
    return this.#policy('fleet', by, speaksFor)
  }

  own(by: DefaultKind = this.pick(['allow', 'deny', 'approval']), speaksFor: readonly ScopeTerm[] = []): PolicyDraft {
    return this.#policy(this.tenant, by, speaksFor)
  }

  of(tenant: string, by: DefaultKind): PolicyDraft {
    return this.#policy(tenant, by, [])
  }

  /** Tags that a layer declares a tool with. */
  tag(layer: 'fleet' | 'own', tool: string, tags: readonly string[]): void {
    this.#layer(layer === 'fleet' ? 'fleet' : this.tenant).tags.set(tool, [...tags])
  }

  #policy(layer: string, by: DefaultKind, speaksFor: readonly ScopeTerm[]): PolicyDraft {
    const defaultEffect: DefaultEffect =
      by === 'approval'
        ? { kind: 'default-approval', approval: this.approval(), span: SPAN }
        : { kind: by === 'allow' ? 'default-allow' : 'default-deny', span: SPAN }
    const name = `${this.pick(['guard', 'support', 'Money', 'zeta', 'base'])}_${this.#number()}`
    const policy = { name, fleet: layer === 'fleet', speaksFor, defaultEffect, rules: [] }
    this.#layer(layer).policies.push(policy)
    return policy
  }

  #layer(name: string): LayerDraft {
    const layer = this.#layers.get(name) ?? { policies: [], tags: new Map() }
    this.#layers.set(name, layer)
    return layer
  }

  // -------------------------------------------------------------- rules

  rules(policy: PolicyDraft, count: number, kind: EffectKind, wish: RuleWish = {}): void {
    for (let i = 0; i < count; i++) this.rule(policy, kind, wish)
  }

  rule(policy: PolicyDraft, kind: EffectKind, wish: RuleWish = {}): ModelRule {
    const { truth = this.chance(4) ? 'always' : 'true', topics } = wish
    const conditions = wish.conditions ?? (truth === 'always' ? [] : this.#conditions(truth, topics))
    const effect = wish.effect ?? this.effect(kind)
    const rule: ModelRule = {
      id: this.#id(),
      scope: wish.scope ?? this.scope(wish.fits ?? true),
      conditions,
      effect,
      severity: this.chance(3) ? this.pick(['low', 'medium', 'high', 'critical'] as const) : null,
      tags: this.chance(5) ? ['soc2:CC6.1'] : [],
      monitor: wish.monitor ?? false,
      active: wish.active ?? null,
      unknownMeansNoMatch: wish.unknownMeansNoMatch ?? false,
      fromTemplate: wish.fromTemplate ?? this.chance(12),
    }
    policy.rules.push(rule)
    return rule
  }

  /** Rules that do not match the focus, and may match what the other requests ask. */
  noise(policies: readonly PolicyDraft[]): void {
    for (let i = this.draw.int(4); i > 0; i--) {
      const fits = this.chance(3)
      const wish = { fits, truth: fits ? 'false' : this.pick(['true', 'false', 'unknown'] as const) } as const
      this.rule(this.pick(policies), this.pick(EFFECTS), { ...wish, monitor: this.chance(8) })
    }
  }

  #conditions(truth: Truth, topics: readonly Topic[] | undefined): Expr[] {
    const conditions = [this.conditions.of(truth, topics)]
    if (this.chance(3)) conditions.push(this.conditions.of(truth === 'false' ? 'unknown' : 'true', topics))
    return this.chance(2) ? conditions : conditions.reverse()
  }

  effect(kind: EffectKind): RuleEffect {
    switch (kind) {
      case 'deny':
        return { kind, why: this.pick(['', 'not here', 'ask security first']), span: SPAN }
      case 'deny-except':
        return { kind, why: '', approval: this.approval(), span: SPAN }
      case 'require-approval':
        return { kind, approval: this.approval(), span: SPAN }
      case 'allow':
        return { kind, obligations: this.chance(3) ? this.obligations() : [], span: SPAN }
    }
  }

  obligations(): Extract<RuleEffect, { kind: 'allow' }>['obligations'] {
    return some(
      this.draw,
      [
        { kind: 'redact', target: 'args.subject', span: SPAN },
        { kind: 'mask', target: 'result.email', span: SPAN },
        { kind: 'max_rows', rows: this.pick([1, 100, 1000]), span: SPAN },
        { kind: 'notify', target: 'sec-oncall', span: SPAN },
      ] as const,
      3,
    )
  }

  /** A clause of the set again, more often than not, so that requirements meet. */
  approval(): ApprovalClause {
    const [known] = this.#clauses
    if (known !== undefined && this.chance(2)) return copyOf(known, this.chance(2))
    const stages = Array.from({ length: this.chance(3) ? 2 : 1 }, () => {
      const roles = some(this.draw, ROLES, 2)
      const from = roles.map((role) => ({ count: this.chance(3) ? 2 : 1, role: named(role), where: [], span: SPAN }))
      return { from, condition: null }
    })
    const withinMs = this.chance(2) ? this.pick([300_000, 3_600_000]) : null
    const escalates = withinMs !== null && this.chance(2)
    const clause: ApprovalClause = {
      kind: 'approval',
      stages,
      withinMs,
      onTimeout:
        withinMs === null || this.chance(2)
          ? null
          : this.chance(2)
            ? { kind: 'deny' }
            : { kind: 'escalate', role: named('ciso') },
      escalations: escalates ? [{ role: named(this.pick(ROLES)), afterMs: 60_000, span: SPAN }] : [],
      validForMs: this.chance(4) ? 86_400_000 : null,
      notByRequester: this.chance(3),
      notByAuthor: null,
      reasonRequired: null,
      mayEdit: [],
      mayRemember: [],
      breakGlass: null,
      span: SPAN,
    }
    this.#clauses.push(clause)
    return clause
  }

  // -------------------------------------------------------------- scope

  scope(fits: boolean): ScopeTerm[] {
    if (!fits) return [this.term(false), ...(this.chance(2) ? [this.term(true)] : [])]
    return Array.from({ length: this.draw.int(3) }, () => this.term(true))
  }

  term(fits: boolean, on = this.pick(['tool', 'tool', 'env', 'agent', 'label', 'principal'] as const)): ScopeTerm {
    const { call } = this.focus
    switch (on) {
      case 'tool':
        return scope(
          'tool',
          ...this.#names(
            call.tool,
            TOOLS.map(({ name }) => name),
            fits,
          ),
        )
      case 'env':
        return scope('env', ...this.#names(call.environment, ENVIRONMENTS, fits))
      case 'agent':
        return scope('agent', ...this.#names(call.agent.id, AGENTS, fits))
      case 'label': {
        const team = call.agent.labels['team'] as string
        return labelled('agent', 'team', ...this.#names(team, LABELS.team, fits))
      }
      case 'principal':
        if (call.principal !== null) return scope('principal', ...this.#names(call.principal.id, PRINCIPALS, fits))
        return fits ? this.term(true, 'env') : scope('principal', literalName('ann'))
    }
  }

  #names(own: string, all: readonly string[], fits: boolean): NamePattern[] {
    const others = all.filter((name) => name !== own)
    if (!fits) return some(this.draw, others, 2).map(literalName)
    const globs = [`${own.slice(0, 2)}*`, `*${own.slice(-3)}`, '*', `${own[0]}*${own.slice(-1)}`]
    const mine = this.chance(3) ? glob(this.pick(globs)) : literalName(own)
    return this.chance(2) ? [mine] : [mine, ...some(this.draw, others, 2).map(literalName)]
  }

  tagTerm(tag: string): ScopeTerm {
    return scope('tool', tagged(tag))
  }

  // -------------------------------------------------------------- calls

  #focus(): Asked {
    const { draw } = this
    const args: Record<string, JsonValue> = {}
    for (const name of PARAMETER_NAMES) {
      const value = argument(draw, PARAMETERS[name]!)
      if (value !== undefined) args[name] = value
    }
    const context: JsonObject = once(draw, 5)
      ? {}
      : { risk: pick(draw, [0, 5, 100, 'high']), channel: pick(draw, CHANNELS) }
    return {
      nowMs: pick(draw, INSTANTS),
      call: {
        requestId: '',
        tenant: this.tenant,
        agent: subject(draw, AGENTS),
        principal: once(draw, 3) ? null : subject(draw, PRINCIPALS),
        sessionId: once(draw, 3) ? '' : 's1',
        delegationChain: [],
        tool: pick(draw, TOOLS).name,
        environment: pick(draw, ENVIRONMENTS),
        arguments: args,
        context,
      },
    }
  }

  /** The focus without most of what no rule reads, to keep the corpus small. */
  trimmedFocus(): Asked {
    const { call } = this.focus
    const { parameters } = namesIn(this.#rules().flatMap(({ conditions }) => conditions))
    if (/"(strings|recipients|undeclared)"/.test(JSON.stringify(this.#rules()))) return this.focus
    const kept = Object.entries(call.arguments).filter(([name]) => parameters.has(name) || this.chance(8))
    return { ...this.focus, call: { ...call, arguments: Object.fromEntries(kept) } }
  }

  /** A call changed in one or two ways. */
  changed(from: Asked): Asked {
    let asked = from
    for (let i = this.chance(3) ? 2 : 1; i > 0; i--) asked = this.#change(asked, this.pick(this.changes))
    return asked
  }

  #change(asked: Asked, change: Change): Asked {
    const { call } = asked
    const withArgs = (args: JsonObject): Asked => ({ ...asked, call: { ...call, arguments: args } })
    const read = argumentsRead(
      this.#rules().flatMap(({ conditions }) => conditions),
      call.arguments,
    )
    const name = this.pick(read.length > 0 ? read : ['amount'])
    const kind = PARAMETERS[name]!
    switch (change) {
      case 'drop': {
        const { [name]: dropped, ...rest } = call.arguments
        void dropped
        return withArgs(rest)
      }
      case 'mistype':
        return withArgs({ ...call.arguments, [name]: this.pick(kind.wrong) })
      case 'garble': {
        if (kind.view === undefined) return withArgs({ ...call.arguments, [name]: this.pick(kind.wrong) })
        const broken = SPECIMENS[kind.view].filter(({ reads }) => reads === null)
        return withArgs({ ...call.arguments, [name]: this.pick(broken).text })
      }
      case 'revalue':
        return withArgs({ ...call.arguments, [name]: this.pick(kind.values) })
      case 'empty':
        return withArgs({})
      case 'extra':
        return withArgs({ ...call.arguments, [this.pick(['zzz', 'Amount', 'force'])]: true })
      case 'tool':
        return { ...asked, call: { ...call, tool: this.pick(TOOLS).name } }
      case 'invented':
        return { ...asked, call: { ...call, tool: this.pick(['Issue_Refund', 'db.queryy', 'undeclared', 'rm']) } }
      case 'env':
        return { ...asked, call: { ...call, environment: this.pick([...ENVIRONMENTS, 'Prod']) } }
      case 'agent':
        return { ...asked, call: { ...call, agent: subject(this.draw, AGENTS) } }
      case 'principal':
        return { ...asked, call: { ...call, principal: this.chance(2) ? null : subject(this.draw, PRINCIPALS) } }
      case 'time':
        return { ...asked, nowMs: this.pick([...INSTANTS, ...DATES, ...DATES.map((ms) => ms - 1000)]) }
      case 'context':
        return { ...asked, call: { ...call, context: this.pick([{}, { risk: null }, { risk: 100, channel: 7 }]) } }
      case 'tenant':
        return { ...asked, call: { ...call, tenant: this.pick(['acme', 'globex', 'initech', 'default']) } }
    }
  }

  // -------------------------------------------------------------- the whole

  #rules(): ModelRule[] {
    return [...this.#layers.values()].flatMap(({ policies }) => policies.flatMap(({ rules }) => rules))
  }

  finish(): Model {
    const used = namesIn(this.#rules().flatMap(({ conditions }) => conditions))
    const parameters = [...new Set([...used.parameters, ...this.extraParameters])].sort()
    const [fleet, ...layers] = ['fleet', ...[...this.#layers.keys()].filter((name) => name !== 'fleet')].map((name) => {
      const { policies, tags } = this.#layer(name)
      const shuffled = policies.map((policy): ModelPolicy => ({ ...policy, rules: this.#shuffle(policy.rules) }))
      return { name, tags, policies: shuffled }
    })
    // The fleet declares where it has a policy, a tenant what is its own and what no fleet declares.
    const isFleet = fleet!.policies.length > 0
    const lists = new Map([...NAMED_LISTS].filter(([name]) => used.lists.has(name)))
    const layer = (draft: NonNullable<typeof fleet>, declares: boolean): ModelLayer => {
      const common = declares ? this.declared.filter((name) => !this.#isTaggedElsewhere(draft.name, name)) : []
      const names = [...new Set([...common, ...draft.tags.keys()])]
      const tools = names.map((name) => ({ name, parameters, tags: draft.tags.get(name) ?? tagsOf(name) }))
      return { policies: draft.policies, tools, lists: declares ? lists : new Map() }
    }
    const tenants = new Map(layers.map((draft) => [draft.name, layer(draft, !isFleet)]))
    if (!tenants.has('default')) tenants.set('default', { policies: [], tools: [], lists: new Map() })
    return { fleet: layer(fleet!, isFleet), tenants }
  }

  /** A tool that one layer tags by itself is declared there alone. */
  #isTaggedElsewhere(layer: string, tool: string): boolean {
    return [...this.#layers].some(([name, { tags }]) => name !== layer && tags.has(tool))
  }

  #shuffle<T>(items: readonly T[]): T[] {
    const left = [...items]
    const shuffled: T[] = []
    while (left.length > 0) shuffled.push(...left.splice(this.draw.int(left.length), 1))
    return shuffled
  }

  #number(): number {
    this.#next++
    return this.#next
  }

  /** Such that neither the effect nor the place in the file says anything about the order of ids. */
  #id(): string {
    for (;;) {
      const id = `${this.pick(['R', 'r', 'A', 'Z', '_', 'Rule'])}${this.draw.int(100)}`
      if (this.#ids.has(id)) continue
      this.#ids.add(id)
      return id
    }
  }
}

function named(name: string): { readonly kind: 'identifier'; readonly name: string; readonly span: typeof SPAN } {
  return { kind: 'identifier', name, span: SPAN }
}

function copyOf(clause: ApprovalClause, turned: boolean): ApprovalClause {
  const stages = clause.stages.map(({ from, condition }) => {
    const copies = from.map((group) => ({ ...group, role: { ...group.role } }))
    return { from: turned ? copies.reverse() : copies, condition }
  })
  return { ...clause, stages }
}

function tagsOf(tool: string): readonly string[] {
  return TOOLS.find(({ name }) => name === tool)?.tags ?? []
}

import type { ApprovalClause, Expr, NamePattern, RuleEffect, ScopeTerm } from '../../src/language/ast.js'
import type { CheckedBundle, CheckedRule } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { Draw } from '../../test/engine/generate.js'

const SPAN = { start: 0, end: 0 }
const LOCATION = { file: 'bench.policy', line: 1, column: 1, start: 0, end: 0 }
const RULES_PER_TOOL = 10
const ENVIRONMENTS = ['prod', 'staging', 'dev']
const TEAMS = ['billing', 'support', 'data', 'growth']
const VERBS = ['read', 'write', 'list', 'delete', 'send']
const WORDS = ['users', 'cards', 'orders', 'ssn', 'invoice', 'refund', 'export', 'token', 'secret', 'draft']
const APPROVAL: ApprovalClause = {
  kind: 'approval',
  stages: [{ from: [{ count: 1, role: { kind: 'identifier', name: 'manager', span: SPAN }, span: SPAN }] }],
  withinMs: null,
  onTimeout: null,
  escalations: [],
  validForMs: null,
  notByRequester: false,
  span: SPAN,
}

/**
 * Synthetic policies of a company with many tools: ten rules a tool on average. Tools are named exactly in 65 % of the
 * rules, in sets of four in 10 %, by `area.thing.*` in 19 %, by broader globs or not at all in the rest; half of the rules
 * name an environment, 30 % a team; each has up to three conditions, out of about 360 different ones.
 */
export class FleetOfTools {
  readonly #tools: readonly string[]

  constructor(
    private readonly draw: Draw,
    private readonly rules: number,
  ) {
    const count = Math.max(1, Math.round(rules / RULES_PER_TOOL))
    this.#tools = Array.from({ length: count }, (_, i) => `area${i % 97}.thing${Math.floor(i / 5)}.${VERBS[i % 5]}`)
  }

  bundle(): CheckedBundle {
    return bundleOf(Array.from({ length: this.rules }, (_, i) => this.#rule(i)))
  }

  /** Tools are called with a skew, as in life: the tenth most used gets a tenth of the most used one's calls. */
  call(): Call {
    const rank = Math.floor(this.#tools.length ** (this.draw.int(1_000_000) / 1_000_000)) - 1
    const agent = {
      id: `agent-${this.draw.int(50)}`,
      labels: { team: this.#pick(TEAMS), tier: 'gold', region: 'eu' },
    }
    const tool = this.#tools[Math.min(rank, this.#tools.length - 1)]!
    return callOf(agent, tool, this.#pick(ENVIRONMENTS), {
      amount: this.draw.int(1_000),
      count: this.draw.int(40),
      text: `${this.#pick(WORDS)} ${this.#pick(WORDS)} please`,
      kind: `kind${this.draw.int(20)}`,
      urgent: this.draw.int(2) === 0,
      list: [this.#pick(WORDS), this.#pick(WORDS)],
    })
  }

  #rule(number: number): CheckedRule {
    const conditions = Array.from({ length: this.draw.int(4) }, () => this.#condition())
    return ruleOf(`R${number}`, this.#scope(), conditions, this.#effect())
  }

  #scope(): ScopeTerm[] {
    const terms: ScopeTerm[] = []
    const kind = this.draw.int(1_000)
    const tool = () => this.#pick(this.#tools)
    if (kind < 650) terms.push(on('tool', [name(tool())]))
    else if (kind < 750) terms.push(on('tool', [name(tool()), name(tool()), name(tool()), name(tool())]))
    else if (kind < 940) terms.push(on('tool', [glob(`${tool().split('.').slice(0, 2).join('.')}.*`)]))
    else terms.push(on('tool', [glob(`${tool().split('.')[0]}.*${this.draw.int(1_000)}.*`)]))
    if (this.draw.int(2) === 0) terms.push(on('env', [name(this.#pick(ENVIRONMENTS))]))
    if (this.draw.int(10) < 3) {
      const label = { kind: 'identifier', name: 'team', span: SPAN } as const
      terms.push({ kind: 'scope-label', on: 'agent', label, patterns: [name(this.#pick(TEAMS))], span: SPAN })
    }
    return terms
  }

  #condition(): Expr {
    switch (this.draw.int(6)) {
      case 0:
      case 1:
        return compare(this.#pick(['>', '<', '>=']), args('amount'), this.draw.int(40) * 25)
      case 2:
        return compare('>', args('count'), this.draw.int(40))
      case 3:
        return relation(
          'in',
          args('kind'),
          this.#few((i) => `kind${i % 20}`),
        )
      case 4:
        return relation(
          'contains-any',
          args('text'),
          this.#few((i) => WORDS[i % WORDS.length]!),
        )
      default:
        return compare('==', args('urgent'), this.draw.int(2) === 0)
    }
  }

  /** One of a hundred lists of three, as companies have lists that many rules share. */
  #few(item: (i: number) => string): readonly string[] {
    const start = this.draw.int(100)
    return [start, start * 3 + 1, start * 7 + 2].map(item)
  }

  #effect(): RuleEffect {
    const kind = this.draw.int(3)
    if (kind === 0) return { kind: 'deny', why: 'not here', span: SPAN }
    if (kind === 1) return { kind: 'require-approval', approval: APPROVAL, span: SPAN }
    return { kind: 'allow', obligations: [], span: SPAN }
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.draw.int(items.length)]!
  }
}

/** The lowest limit. One call of a thousand is over a few of them. */
const RARE_FROM = 1_000_000

/**
 * One tool, and as many rules as asked for that deny it above a limit of their own. Nearly every amount is under all limits,
 * so that a decision should cost the same however many rules there are.
 */
export class RareLimits {
  constructor(
    private readonly draw: Draw,
    private readonly rules: number,
  ) {}

  bundle(): CheckedBundle {
    const scope = [on('tool', [name('pay')])]
    const rules = Array.from({ length: this.rules }, (_, i) =>
      ruleOf(`R${i}`, scope, [compare('>', args('amount'), RARE_FROM + i)], { kind: 'deny', why: '', span: SPAN }),
    )
    return bundleOf(rules)
  }

  call(): Call {
    const amount = this.draw.int(1_000) === 0 ? RARE_FROM + this.draw.int(10) : this.draw.int(RARE_FROM)
    return callOf({ id: 'agent-1', labels: {} }, 'pay', 'prod', { amount })
  }
}

function bundleOf(rules: readonly CheckedRule[]): CheckedBundle {
  const policy = {
    name: 'bench',
    description: '',
    fleet: false,
    speaksFor: [],
    defaultEffect: { kind: 'default-allow', span: SPAN } as const,
    rules,
    location: LOCATION,
    locate: () => LOCATION,
  }
  const layer = { tools: new Map(), lists: new Map(), tests: [] }
  return {
    revision: 'sha256:bench',
    fleet: { ...layer, policies: [] },
    tenants: new Map([['default', { ...layer, policies: [policy] }]]),
    diagnostics: [],
  }
}

function ruleOf(id: string, scope: readonly ScopeTerm[], conditions: readonly Expr[], effect: RuleEffect): CheckedRule {
  return {
    id,
    policy: 'bench',
    description: 'a synthetic rule',
    scope,
    conditions,
    effect,
    severity: null,
    tags: [],
    monitor: false,
    active: null,
    unknownMeansNoMatch: false,
    location: LOCATION,
    locate: () => LOCATION,
    excerpt: () => '',
  }
}

function callOf(agent: Call['agent'], tool: string, environment: string, args: Call['arguments']): Call {
  return {
    requestId: 'r',
    tenant: 'default',
    agent,
    principal: null,
    sessionId: 's',
    delegationChain: [],
    tool,
    environment,
    arguments: args,
    context: {},
  }
}

function name(text: string): NamePattern {
  return { kind: 'literal', text, span: SPAN }
}
function glob(text: string): NamePattern {
  return { kind: 'glob', text, span: SPAN }
}
function on(what: 'tool' | 'env', patterns: readonly NamePattern[]): ScopeTerm {
  return { kind: 'scope', on: what, patterns, span: SPAN }
}
function args(key: string): Expr {
  return { kind: 'reference', root: 'args', path: [key], span: SPAN }
}
function literal(value: string | number | boolean): Expr {
  return { kind: 'literal', value, span: SPAN }
}
function compare(op: '>' | '<' | '>=' | '==', left: Expr, right: number | boolean): Expr {
  return { kind: 'compare', op, left, right: literal(right), span: SPAN }
}
function relation(op: 'in' | 'contains-any', left: Expr, words: readonly string[]): Expr {
  return {
    kind: 'relation',
    op,
    left,
    right: { kind: 'list-literal', items: words.map(literal), span: SPAN },
    span: SPAN,
  }
}

import type {
  ApprovalClause,
  ArithmeticOp,
  AttributeNode,
  CompareOp,
  Expr,
  Identifier,
  NamePattern,
  RelationOp,
  RuleEffect,
  ScopeTerm,
} from '../../src/language/ast.js'
import type { CheckedBundle, CheckedLayer, CheckedPolicy, CheckedRule, ListItem } from '../../src/language/checked.js'
import { ANY } from '../../src/language/vocabulary.js'
import type { Call, Subject } from '../../src/model/call.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import type { Draw } from '../reference/draw.js'

export { type Draw, seededDraw } from '../reference/draw.js'

// Few names, so that rules and calls meet often; among them those that trip a look-up in a plain object.
const TOOLS = [
  'db.read',
  'db.write',
  'db.admin.drop',
  'send_email',
  '__proto__',
  'constructor',
  'ünï.côde',
  '\u{1f4a3}',
  'toString',
]
const TOOL_GLOBS = [
  'db.*',
  '*.drop',
  'd*e*',
  '*',
  '*_email',
  '__*',
  'db.*.dr*p',
  'db*',
  '*o*',
  '*.*.*',
  '**',
  '\u{1f4a3}*',
]
const ENVS = ['prod', 'staging', 'prod-eu', '__proto__']
const AGENTS = ['support-1', 'support-2', 'bot', '__proto__', 'k3']
const LABELS = ['team', 'constructor', '__proto__']
const TEAMS = ['billing', 'ops', 'k2']
const TAGS = ['money', 'egress']
const ROLES = ['manager', 'ciso', 'finance']
const KEYS = ['a', 'b', 'list', 'text', '__proto__', 'constructor', 'kind', 'amount', 'deep']
const TEXTS = [
  '',
  'a',
  'B',
  'k1',
  'k2',
  'k3',
  'k7',
  'delete all',
  'users',
  'ﬀ',
  '\u{10000}',
  '\ue000',
  '10.1.2.3',
  '192.0.2.1',
  '::1',
  'support-1',
  'https://Example.COM:8443/a/../b?x=1',
  'Ann <ann@example.com>',
  '/srv/data/../etc',
  '/srv/data/x.csv',
  'rm -rf / | sh',
  'prod',
  'db.read',
  '{"a": 1, "list": [1, "a", null]}',
  'select a from users limit 5',
  'drop table x; --',
  'not ( sql',
  '\u0000',
  'a*b',
]
const NUMBERS = [0, 1, -1, 2, 3, 5, 100, 0.5, 2 ** 53, -0]
const BIGINTS = [2n ** 53n + 1n, 2n ** 60n - 1n, 2n ** 60n, 2n ** 60n + 1n, -(2n ** 60n) - 1n, 2n ** 200n]
/** Bounds that rules set; few, so that several rules set the same. */
const LIMITS = [...NUMBERS, 4, 10, 50, 99, 2 ** 60, -(2 ** 60)]
const CHEAP_FUNCTIONS = ['count', 'length', 'lower', 'sum', 'min', 'max', 'undeclared']
const REGEXES = ['a+b?', '^k[0-9]$', '(x|y)*z', '[^a]', 'U']
/** 2026-01-05T12:00Z, a Monday. */
const NOON = 1_767_614_400_000
const TIMES = [NOON, NOON + 3_600_000 * 9, NOON - 86_400_000, NOON + 86_400_000 * 180]

const SPAN = { start: 0, end: 0 }
const ANY_PARAMETER = { type: ANY, optional: true }
const LOCATION = { file: 'generated.policy', line: 1, column: 1, start: 0, end: 0 }

export interface Case {
  readonly bundle: CheckedBundle
  readonly tenant: string
}

export class Generator {
  constructor(private readonly draw: Draw) {}

  policies(): Case {
    const fleetTools = this.tools()
    const fleet = this.layer(true, fleetTools)
    const ownTools = new Map([...fleetTools, ...this.tools()])
    const own = this.layer(false, ownTools)
    const bundle = {
      revision: 'sha256:generated',
      ground: {},
      fleet,
      tenants: new Map([['acme', own]]),
      diagnostics: [],
    }
    return { bundle, tenant: this.chance(40) ? 'unknown' : 'acme' }
  }

  call(): Call {
    return {
      requestId: '',
      tenant: 'acme',
      agent: this.subject(),
      principal: this.chance(3) ? null : this.subject(),
      sessionId: this.chance(2) ? '' : 's1',
      delegationChain: [],
      tool: this.chance(6) ? `${this.pick(TOOLS)}${this.pick(TEXTS)}x` : this.pick(TOOLS),
      environment: this.chance(8) ? 'other' : this.pick(ENVS),
      arguments: this.chance(30) ? {} : this.chance(8) ? this.longObject() : this.object(0),
      context: this.chance(2) ? {} : this.object(1),
    }
  }

  nowMs(): number {
    return this.pick(TIMES)
  }

  /** A rule to add to a generated set; its id is not among the generated ones. */
  rule(policy: string, id: string, effect?: RuleEffect): CheckedRule {
    return {
      core: {},
      id,
      policy,
      description: 'generated',
      scope: this.many(2, () => this.scopeTerm()),
      conditions: this.many(3, () => this.condition(this.int(4), [])),
      effect: effect ?? this.effect(),
      severity: null,
      tags: [],
      monitor: this.chance(10),
      active: this.chance(10)
        ? { fromMs: this.pick([...TIMES, null]), untilMs: this.pick([...TIMES, null]), span: SPAN }
        : null,
      unknownMeansNoMatch: this.chance(8),
      location: LOCATION,
      locate: () => LOCATION,
      excerpt: () => 'text',
    }
  }

  private layer(fleet: boolean, tools: CheckedLayer['tools']): CheckedLayer {
    const prefix = fleet ? 'F' : 'T'
    const count = fleet && this.chance(3) ? 0 : 1 + this.int(3)
    const policies: CheckedPolicy[] = []
    for (let i = 0; i < count; i++) policies.push(this.policy(fleet, `${prefix}${i}`))
    return { policies, tools, lists: this.lists(), tests: [] }
  }

  private policy(fleet: boolean, name: string): CheckedPolicy {
    const rules: CheckedRule[] = []
    const count = this.int(this.chance(4) ? 12 : 4)
    for (let i = 0; i < count; i++) rules.push(this.rule(name, `${name}_R${i}`))
    if (this.chance(4)) rules.push(...this.keyedRules(name))
    if (this.chance(8)) rules.push(...this.boundedRules(name))
    const kind = this.int(4)
    return {
      name,
      description: '',
      fleet,
      authors: this.chance(2) ? [] : [identifier('zoe'), identifier('alice@example.com'), identifier('zoe')],
      speaksFor: this.chance(3) ? [this.scopeTerm()] : [],
      defaultEffect:
        kind < 2
          ? { kind: 'default-allow', span: SPAN }
          : kind === 2
            ? { kind: 'default-deny', span: SPAN }
            : { kind: 'default-approval', approval: this.approval(), span: SPAN },
      rules,
      location: LOCATION,
      locate: () => LOCATION,
      excerpt: () => '',
    }
  }

  /** Enough rules that demand different values of one thing for the index to make a table of them. */
  private keyedRules(policy: string): CheckedRule[] {
    const rules: CheckedRule[] = []
    const on = this.int(4)
    for (let i = 0; i < 10; i++) {
      const rule = this.rule(policy, `${policy}_K${i}`)
      const value = `k${i}`
      const test: Expr = this.chance(3)
        ? relation('in', reference('args', ['kind']), list([literal(value), literal(this.pick(TEXTS))]))
        : {
            kind: 'compare',
            op: '==',
            left: reference('args', ['kind']),
            right: literal(on === 3 ? i : value),
            span: SPAN,
          }
      if (on === 0)
        rules.push({
          ...rule,
          scope: [...rule.scope, { kind: 'scope', on: 'agent', patterns: [literalName(value)], span: SPAN }],
        })
      else if (on === 1) rules.push({ ...rule, scope: [...rule.scope, label('agent', 'team', value)] })
      else rules.push({ ...rule, conditions: [...rule.conditions, test] })
    }
    return rules
  }

  /** Enough rules that set bounds to one number for the index to make a tree of them. */
  private boundedRules(policy: string): CheckedRule[] {
    const amount = reference(this.pick(['args', 'context']), ['amount'])
    return Array.from({ length: 20 }, (_, i) => {
      const rule = this.rule(policy, `${policy}_B${i}`)
      const bounds = [this.bound(amount), ...this.many(1, () => this.bound(amount))]
      return {
        ...rule,
        scope: this.chance(4) ? rule.scope : [],
        conditions: this.chance(3) ? [...bounds, ...rule.conditions] : bounds,
      }
    })
  }

  private bound(of: Expr): Expr {
    const limit = literal(this.pick(LIMITS))
    const [left, right] = this.chance(3) ? [limit, of] : [of, limit]
    return { kind: 'compare', op: this.pick<CompareOp>(['<', '<=', '>', '>=']), left, right, span: SPAN }
  }

  private tools(): CheckedLayer['tools'] {
    const names = TOOLS.filter(() => this.chance(2))
    return new Map(
      names.map((name) => {
        const tags = TAGS.filter(() => this.chance(2))
        const parameters = new Map(KEYS.filter(() => this.chance(2)).map((key) => [key, ANY_PARAMETER]))
        return [name, { name, parameters, tags, receipt: this.chance(4), location: LOCATION }]
      }),
    )
  }

  private lists(): ReadonlyMap<string, readonly ListItem[]> {
    const items = (count: number) => this.many(count, () => this.scalar())
    return new Map<string, readonly ListItem[]>([
      ['few', items(3)],
      ['many', items(12)],
      ['texts', this.many(6, () => this.pick(TEXTS))],
      ['empty', []],
    ])
  }

  private effect(): RuleEffect {
    switch (this.int(4)) {
      case 0:
        return { kind: 'deny', why: 'because', span: SPAN }
      case 1:
        return { kind: 'deny-except', why: '', approval: this.approval(), span: SPAN }
      case 2:
        return { kind: 'require-approval', approval: this.approval(), span: SPAN }
      default:
        return {
          kind: 'allow',
          obligations: this.chance(2)
            ? []
            : [
                { kind: 'max_rows', rows: this.int(9), span: SPAN },
                { kind: 'redact', target: 'args.a', span: SPAN },
              ],
          span: SPAN,
        }
    }
  }

  private approval(): ApprovalClause {
    const group = () => ({
      count: 1 + this.int(2),
      role: identifier(this.pick(ROLES)),
      where: this.chance(3) ? this.many(2, () => this.attribute()) : [],
      span: SPAN,
    })
    const later = () => ({ from: [group()], condition: this.chance(2) ? this.condition(this.int(3), []) : null })
    const path = () => reference('args', [this.pick(KEYS), ...this.many(1, () => this.pick(KEYS))])
    return {
      kind: 'approval',
      stages: [{ from: [group(), ...this.many(1, group)], condition: null }, ...this.many(2, later)],
      withinMs: this.chance(2) ? null : 300_000,
      onTimeout: this.chance(2) ? null : { kind: 'escalate', role: identifier('ciso') },
      escalations: this.chance(4)
        ? ['cfo', 'ceo'].map((role) => ({ role: identifier(role), afterMs: this.pick([60_000, 90_000]), span: SPAN }))
        : [],
      validForMs: null,
      notByRequester: this.chance(3),
      notByAuthor: this.chance(4) ? { span: SPAN } : null,
      reasonRequired: this.chance(3) ? this.pick(['approval', 'rejection', 'both'] as const) : null,
      mayEdit: this.chance(4) ? this.many(2, path) : [],
      mayRemember: this.chance(4)
        ? this.many(2, () => ({
            ...(this.chance(2)
              ? { scope: 'fields' as const, paths: [path(), ...this.many(1, path)] }
              : { scope: this.pick(['exact', 'tool'] as const), paths: [] }),
            forMs: 3_600_000,
            atMost: this.chance(2) ? null : 10,
            span: SPAN,
          }))
        : [],
      breakGlass: this.chance(4) ? identifier('incident-lead') : null,
      span: SPAN,
    }
  }

  private attribute(): AttributeNode {
    const roots = ['args', 'agent', 'principal', 'context'] as const
    const value = this.chance(2)
      ? literal(this.pick([...TEXTS, 1, true]))
      : this.chance(4)
        ? reference('env', [])
        : reference(this.pick(roots), [this.pick(KEYS)])
    return { attribute: identifier(this.pick(['region', 'level'])), value, span: SPAN }
  }

  // -------------------------------------------------------------- scope

  private scopeTerm(): ScopeTerm {
    const patterns = (literals: readonly string[], globs: readonly string[]): NamePattern[] => {
      const one = (): NamePattern =>
        this.chance(3) ? { kind: 'glob', text: this.pick(globs), span: SPAN } : literalName(this.pick(literals))
      return [one(), ...this.many(2, one)]
    }
    switch (this.int(9)) {
      case 0:
      case 1:
        return { kind: 'scope', on: 'tool', patterns: patterns(TOOLS, TOOL_GLOBS), span: SPAN }
      case 2: {
        const undeclared: NamePattern = { kind: 'undeclared', text: 'undeclared', span: SPAN }
        const others = this.chance(2) ? [] : [...patterns(TOOLS, TOOL_GLOBS), ...this.many(1, () => this.tag())]
        return { kind: 'scope', on: 'tool', patterns: [undeclared, ...others], span: SPAN }
      }
      case 3:
        return { kind: 'scope', on: 'tool', patterns: [this.tag()], span: SPAN }
      case 4:
      case 5:
        return { kind: 'scope', on: 'env', patterns: patterns(ENVS, ['prod*', '*-eu', '*']), span: SPAN }
      case 6:
        return {
          kind: 'scope',
          on: this.pick(['agent', 'principal']),
          patterns: patterns(AGENTS, ['support-*', '*']),
          span: SPAN,
        }
      case 7:
        return { ...label(this.pick(['agent', 'principal']), this.pick(LABELS), ''), patterns: patterns(TEAMS, ['b*']) }
      default:
        return { kind: 'scope', on: 'tenant', patterns: patterns(['acme', 'acme', 'other'], ['a*']), span: SPAN }
    }
  }

  private tag(): NamePattern {
    return { kind: 'tag', text: this.pick(TAGS), span: SPAN }
  }

  // -------------------------------------------------------------- expressions

  private condition(depth: number, variables: readonly string[]): Expr {
    if (depth <= 0) return this.test(variables)
    const inner = () => this.condition(depth - 1, variables)
    switch (this.int(8)) {
      case 0:
        return { kind: 'not', operand: inner(), span: SPAN }
      case 1:
        return { kind: 'and', operands: [inner(), inner(), ...this.many(1, inner)], span: SPAN }
      case 2:
        return { kind: 'or', operands: [inner(), inner()], span: SPAN }
      case 3: {
        // Three loops deep, or a parse in two, would cost more than a rule may.
        if (variables.length === 2) return this.test(variables)
        const variable = this.pick(['x', 'y'])
        const body = this.condition(depth - 1, [...variables, variable])
        const over = this.chance(4) ? this.value(1, variables) : this.listValue(variables)
        return {
          kind: 'quantifier',
          quantifier: this.pick(['any', 'all']),
          variable: identifier(variable),
          over,
          body,
          span: SPAN,
        }
      }
      case 4:
        return {
          kind: 'and',
          operands: [{ kind: 'exists', operand: this.value(1, variables), span: SPAN }, inner()],
          span: SPAN,
        }
      default:
        return this.test(variables)
    }
  }

  private test(variables: readonly string[]): Expr {
    const value = () => this.value(this.int(3), variables)
    switch (this.int(15)) {
      case 0:
      case 1:
        return { kind: 'compare', op: '==', left: this.identity(), right: this.constant(), span: SPAN }
      case 2:
        return relation('in', this.identity(), list([this.constant(), this.constant()]))
      case 3:
      case 4:
        return {
          kind: 'compare',
          op: this.pick<CompareOp>(['==', '!=', '<', '<=', '>', '>=']),
          left: value(),
          right: value(),
          span: SPAN,
        }
      case 5:
        return relation(
          this.pick<RelationOp>(['in', 'not-in', 'subset', 'intersects']),
          value(),
          this.listValue(variables),
        )
      case 6:
        return relation(this.pick<RelationOp>(['contains', 'starts-with', 'ends-with', 'like']), value(), value())
      case 7:
        return relation(
          this.pick<RelationOp>(['contains-any', 'contains-all', 'intersects', 'subset', 'in']),
          this.listValue(variables),
          this.listValue(variables),
        )
      case 8:
        return {
          kind: 'matches',
          subject: value(),
          pattern: this.pick(REGEXES),
          flags: this.pick(['', 'i', 's']),
          span: SPAN,
        }
      case 9:
        return { kind: 'exists', operand: value(), span: SPAN }
      case 10:
        return {
          kind: 'time-window',
          subject: this.chance(5) ? value() : reference('now', []),
          fromMinute: this.pick([0, 540, 1320]),
          untilMinute: this.pick([300, 1020, 1440]),
          zone: this.pick(['UTC', 'America/New_York']),
          days: this.pick([null, [1, 2, 3, 4, 5], [0]]),
          span: SPAN,
        }
      case 11:
        return this.viewTest(variables)
      case 12: {
        const names = list(this.many(3, () => literal(this.pick(KEYS))))
        return relation(
          this.pick<RelationOp>(['subset', 'intersects']),
          call('undeclared', reference('args', this.chance(4) ? ['deep'] : [])),
          names,
        )
      }
      case 13:
        return relation(
          this.pick<RelationOp>(['contains-any', 'contains-all']),
          value(),
          list([this.constant(), this.constant()]),
        )
      default:
        return value()
    }
  }

  private viewTest(variables: readonly string[]): Expr {
    if (variables.length === 2) return this.constant()
    const text = () => this.value(0, variables)
    switch (this.int(6)) {
      case 0:
        return relation(
          'in',
          call('ip', text()),
          this.chance(2) ? cidr('10.0.0.0/8') : list([cidr('192.0.2.0/24'), cidr('::1')]),
        )
      case 1:
        return relation(
          'under',
          call('path', text()),
          this.pick([literal('/srv/data'), list([literal('/srv'), literal('/etc')]), text()]),
        )
      case 2:
        return relation('in', field(call('url', text()), this.pick(['host', 'scheme', 'path'])), {
          kind: 'name',
          name: 'texts',
          span: SPAN,
        })
      case 3:
        return relation(
          'intersects',
          field(call('sql', text()), this.pick(['tables', 'statements'])),
          list([literal('users'), literal('drop')]),
        )
      case 4:
        return relation('contains', field(call('shell', text()), 'programs'), literal('rm'))
      default:
        return {
          kind: 'compare',
          op: '==',
          left: field(call('json', text()), this.pick(KEYS)),
          right: this.constant(),
          span: SPAN,
        }
    }
  }

  private value(depth: number, variables: readonly string[]): Expr {
    if (depth <= 0) {
      switch (this.int(6)) {
        case 0:
          return this.constant()
        case 1:
        case 2:
          return variables.length > 0 ? { kind: 'name', name: this.pick(variables), span: SPAN } : this.argument()
        case 3:
          return this.identity()
        default:
          return this.argument()
      }
    }
    const inner = () => this.value(depth - 1, variables)
    switch (this.int(9)) {
      case 0:
        return {
          kind: 'arithmetic',
          op: this.pick<ArithmeticOp>(['+', '-', '*', '/']),
          left: inner(),
          right: inner(),
          span: SPAN,
        }
      case 1:
        return { kind: 'negate', operand: inner(), span: SPAN }
      case 2:
        return field(inner(), this.pick(KEYS))
      case 3:
        return {
          kind: 'index',
          of: this.listValue(variables),
          index: this.pick([literal(0), literal(1), inner()]),
          span: SPAN,
        }
      case 4:
        return call(
          this.pick([...CHEAP_FUNCTIONS, ...(variables.length < 2 ? ['strings', 'recipients', 'domain'] : [])]),
          this.pick([inner(), this.listValue(variables)]),
        )
      case 5:
        return { kind: 'map-literal', entries: [{ key: this.pick(KEYS), value: inner() }], span: SPAN }
      case 6:
        return this.pick<Expr>([
          { kind: 'duration', ms: 3_600_000, span: SPAN },
          { kind: 'timestamp', ms: NOON, span: SPAN },
          reference('now', []),
        ])
      case 7:
        return this.condition(0, variables)
      default:
        return this.argument()
    }
  }

  private listValue(variables: readonly string[]): Expr {
    switch (this.int(5)) {
      case 0:
        return { kind: 'name', name: this.pick(['few', 'many', 'texts', 'empty']), span: SPAN }
      case 1:
        return list(this.many(3, () => this.constant()))
      case 2:
        return list(this.many(2, () => this.value(0, variables)))
      default:
        return reference('args', this.chance(5) ? ['deep', 'list'] : ['list'])
    }
  }

  private argument(): Expr {
    const path = [this.pick(KEYS), ...this.many(1, () => this.pick(KEYS))]
    return reference(this.chance(8) ? 'context' : 'args', this.chance(20) ? [] : path)
  }

  /** What the index looks at. */
  private identity(): Expr {
    switch (this.int(7)) {
      case 0:
        return reference('env', [])
      case 1:
        return reference('tool', ['name'])
      case 2:
        return reference('agent', ['id'])
      case 3:
        return reference('principal', this.pick([['id'], ['team'], ['labels', 'team']]))
      case 4:
        return reference('agent', [this.pick(LABELS)])
      case 5:
        return reference('session', ['id'])
      default:
        return reference('args', ['kind'])
    }
  }

  private constant(): Expr {
    if (this.chance(4)) return literal(this.pick([...TOOLS, ...ENVS, ...AGENTS, ...TEAMS]))
    return literal(this.scalar())
  }

  // -------------------------------------------------------------- values

  private scalar(): string | number | boolean | null {
    switch (this.int(8)) {
      case 0:
        return null
      case 1:
        return this.chance(2)
      case 2:
      case 3:
        return this.pick(NUMBERS)
      default:
        return this.pick(TEXTS)
    }
  }

  private json(depth: number): JsonValue {
    switch (this.int(depth > 2 ? 6 : 9)) {
      case 0:
        return this.chance(3) ? this.pick(BIGINTS) : this.pick(NUMBERS)
      case 1:
        return this.chance(20) ? Number.NaN : this.pick(NUMBERS)
      case 6:
        return this.object(depth + 1)
      case 7:
        return this.many(4, () => this.json(depth + 1))
      default:
        return this.scalar()
    }
  }

  /** Half of them with the prototype of every object, as a careless caller builds them. */
  private object(depth: number): JsonObject {
    const object: Record<string, JsonValue> = this.chance(2) ? {} : Object.create(null)
    for (const key of KEYS) {
      if (this.chance(3)) continue
      const value =
        key === 'list' && !this.chance(5)
          ? this.many(4, () => this.json(2))
          : key === 'amount' && !this.chance(5)
            ? this.pick<JsonValue>([...LIMITS, ...BIGINTS])
            : this.json(depth)
      Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
    }
    return object
  }

  /** Longer than all that the rules about a tool read of it can be read of. */
  private longObject(): JsonObject {
    const lengthened = (value: JsonValue): JsonValue => {
      if (typeof value === 'string') return value === '' ? value : this.lengthened(value)
      if (Array.isArray(value)) return value.map(lengthened)
      return value
    }
    const { list, ...texts } = this.object(0)
    const entries = Object.entries(texts).map(([key, value]) => [key, lengthened(value)] as const)
    const items = this.chance(2) ? this.many(400, () => this.scalar()) : (list ?? null)
    return Object.fromEntries([...entries, ['list', items]])
  }

  private lengthened(text: string): string {
    return `${text};`.repeat(Math.ceil(this.pick([50, 600, 2_000, 12_000, 40_000]) / text.length))
  }

  private subject(): Subject {
    const labels: Record<string, string> = this.chance(2) ? {} : Object.create(null)
    if (!this.chance(3)) labels['team'] = this.pick(TEAMS)
    return { id: this.pick(AGENTS), labels }
  }

  // -------------------------------------------------------------- choices

  private int(below: number): number {
    return this.draw.int(below)
  }
  /** True once in `of` times. */
  private chance(of: number): boolean {
    return this.draw.int(of) === 0
  }
  private pick<T>(items: readonly T[]): T {
    return items[this.draw.int(items.length)]!
  }
  private many<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.draw.int(most + 1) }, make)
  }
}

function identifier(name: string): Identifier {
  return { kind: 'identifier', name, span: SPAN }
}
function literal(value: string | number | boolean | null): Expr {
  return { kind: 'literal', value, span: SPAN }
}
function literalName(text: string): NamePattern {
  return { kind: 'literal', text, span: SPAN }
}
function label(on: 'agent' | 'principal', name: string, value: string): ScopeTerm {
  return { kind: 'scope-label', on, label: identifier(name), patterns: [literalName(value)], span: SPAN }
}
function reference(root: Extract<Expr, { kind: 'reference' }>['root'], path: readonly string[]): Expr {
  return { kind: 'reference', root, path, span: SPAN }
}
function list(items: readonly Expr[]): Expr {
  return { kind: 'list-literal', items, span: SPAN }
}
function cidr(text: string): Expr {
  return { kind: 'cidr', text, span: SPAN }
}
function field(of: Expr, name: string): Expr {
  return { kind: 'field', of, field: name, span: SPAN }
}
function call(fn: string, argument: Expr): Expr {
  return { kind: 'call', fn, args: [argument], span: SPAN }
}
function relation(op: RelationOp, left: Expr, right: Expr): Expr {
  return { kind: 'relation', op, left, right, span: SPAN }
}

import type { Expr } from '../../src/language/ast.js'
import type { ListItem } from '../../src/language/checked.js'
import type { ViewName } from '../../src/language/vocabulary.js'
import type { JsonObject } from '../../src/model/json.js'
import type { Draw } from '../reference/draw.js'
import { evaluate } from '../reference/meaning-expression.js'
import {
  arithmetic,
  call,
  cidr,
  compare,
  exists,
  field,
  list,
  literal,
  logical,
  named,
  not,
  reference,
  relation,
  SPAN,
} from './model.js'
import { PATTERNS, SPECIMEN_VIEWS } from './specimens.js'
import {
  type Asked,
  CHANNELS,
  DATES,
  ENVIRONMENTS,
  LABELS,
  once,
  PARAMETER_NAMES,
  PARAMETERS,
  PRINCIPALS,
  pick,
  some,
} from './vocabulary.js'

/** What a condition is for the call that a set is built around. */
export type Truth = 'true' | 'false' | 'unknown'

/** Subjects that conditions are about; a class may keep to some of them. */
export const TOPICS = [
  'numbers',
  'arithmetic',
  'texts',
  'patterns',
  'lists',
  'quantifiers',
  'flags',
  'maps',
  'context',
  'identity',
  'clock',
  'existence',
  'functions',
  'sql',
  'url',
  'email',
  'path',
  'ip',
  'shell',
  'json',
] as const
export type Topic = (typeof TOPICS)[number]

const VIEW_PARAMETERS = {
  sql: 'sql',
  url: 'url',
  email: 'address',
  path: 'path',
  ip: 'host',
  shell: 'command',
  json: 'payload',
} as const satisfies Record<ViewName, string>

/** How often a draw is repeated until it has the truth that is wanted. */
const ATTEMPTS = 60

/** Makes conditions that are true, false or unknown for one call, by drawing until the plain evaluator says so. */
export class Conditions {
  constructor(
    private readonly draw: Draw,
    private readonly focus: Asked,
    private readonly lists: ReadonlyMap<string, readonly ListItem[]>,
  ) {}

  /** @param depth how many connectives may stand inside each other */
  of(truth: Truth, topics: readonly Topic[] = TOPICS, depth = 1): Expr {
    if (depth > 0 && once(this.draw, 3)) return this.#connective(truth, topics, depth - 1)
    for (let i = 0; i < ATTEMPTS; i++) {
      const drawn = this.#draw(pick(this.draw, topics))
      const value = this.#truthOf(drawn)
      if (value === truth) return drawn
      if (value !== 'unknown' && truth !== 'unknown') return not(drawn)
    }
    return this.#plain(truth)
  }

  /** A compound that is so by the rules for unknown: `false and unknown`, `true or unknown`, … */
  connective(truth: Truth, kind: 'and' | 'or' | 'not', topics: readonly Topic[] = TOPICS): Expr {
    const inner = (of: Truth) => this.of(of, topics, 0)
    if (kind === 'not') return not(inner(truth === 'true' ? 'false' : truth === 'false' ? 'true' : 'unknown'))
    const neutral = kind === 'and' ? 'true' : 'false'
    const absorbing = kind === 'and' ? 'false' : 'true'
    if (truth === absorbing)
      return this.#shuffled(kind, [inner(absorbing), inner(pick(this.draw, ['unknown', neutral]))])
    if (truth === neutral) return this.#shuffled(kind, [inner(neutral), inner(neutral)])
    return this.#shuffled(kind, [inner('unknown'), inner(pick(this.draw, ['unknown', neutral, neutral]))])
  }

  #connective(truth: Truth, topics: readonly Topic[], depth: number): Expr {
    const kind = pick(this.draw, ['and', 'or', 'not'] as const)
    return depth === 0 ? this.connective(truth, kind, topics) : not(not(this.of(truth, topics, depth)))
  }

  #shuffled(kind: 'and' | 'or', operands: readonly [Expr, Expr]): Expr {
    return logical(kind, once(this.draw, 2) ? operands : [operands[1], operands[0]])
  }

  #truthOf(expr: Expr): Truth {
    const { call, nowMs } = this.focus
    const env = { call, nowMs, declared: null, lists: this.lists, variables: [], views: SPECIMEN_VIEWS }
    const value = evaluate(expr, env)
    return value === true ? 'true' : value === false ? 'false' : 'unknown'
  }

  /** For a call that has nothing of the wanted kind. */
  #plain(truth: Truth): Expr {
    if (truth === 'unknown') return compare(reference('context', 'absent'), '==', literal('x'))
    const isEnv = compare(reference('env'), '==', literal(this.focus.call.environment))
    return truth === 'true' ? isEnv : not(isEnv)
  }

  // -------------------------------------------------------------- topics

  #draw(topic: Topic): Expr {
    switch (topic) {
      case 'numbers':
        return compare(this.#number(), this.#order(), literal(this.#limit()))
      case 'arithmetic':
        return this.#arithmetic()
      case 'texts':
        return this.#texts()
      case 'patterns':
        return this.#patterns()
      case 'lists':
        return this.#lists()
      case 'quantifiers':
        return this.#quantifier()
      case 'flags': {
        const urgent = reference('args', 'urgent')
        return pick(this.draw, [urgent, compare(urgent, '==', literal(once(this.draw, 2)))])
      }
      case 'maps':
        return this.#maps()
      case 'context':
        return pick(this.draw, [
          compare(reference('context', 'risk'), this.#order(), literal(this.#limit())),
          relation(reference('context', 'channel'), 'in', list(some(this.draw, CHANNELS, 2))),
        ])
      case 'identity':
        return this.#identity()
      case 'clock':
        return this.#clock()
      case 'existence':
        return this.#existence()
      case 'functions':
        return this.#functions()
      default:
        return this.#view(topic)
    }
  }

  #number(): Expr {
    return reference('args', pick(this.draw, ['amount', 'count', 'limit']))
  }

  #order(): '<' | '<=' | '>' | '>=' | '==' | '!=' {
    return pick(this.draw, ['<', '<=', '>', '>=', '==', '!='])
  }

  /** Often a number of the call itself, or the one beside it. */
  #limit(): number {
    const amount = this.focus.call.arguments['amount']
    const near = typeof amount === 'number' && Math.abs(amount) < 1e6 ? [amount, amount - 1, amount + 1] : []
    return pick(this.draw, [...near, 0, 5, 100, 1000, 2 ** 53 - 1])
  }

  #arithmetic(): Expr {
    const sum = arithmetic(this.#number(), pick(this.draw, ['+', '-', '*', '/']), this.#number())
    const scaled = arithmetic(
      this.#number(),
      pick(this.draw, ['+', '-', '*', '/']),
      literal(pick(this.draw, [0, 2, 10])),
    )
    return compare(pick(this.draw, [sum, scaled]), this.#order(), literal(this.#limit()))
  }

  #text(): Expr {
    return reference('args', pick(this.draw, ['kind', 'subject', 'note']))
  }

  #word(): string {
    const { kind, subject, note } = this.focus.call.arguments
    const own = [kind, subject, note].filter((value) => typeof value === 'string')
    return pick(this.draw, [...own, 'k1', 'k2', 'refund', 'Hello', ''])
  }

  #texts(): Expr {
    const words = list([this.#word(), this.#word(), 'k9'])
    return pick(this.draw, [
      compare(this.#text(), pick(this.draw, ['==', '!=']), literal(this.#word())),
      relation(this.#text(), pick(this.draw, ['in', 'not-in']), pick(this.draw, [words, named('kinds')])),
      compare(this.#text(), '==', this.#text()),
    ])
  }

  #patterns(): Expr {
    const part = literal(this.#word().slice(0, 1 + this.draw.int(4)))
    const glob = literal(pick(this.draw, ['k*', '*URGENT*', '*', '* *', `${this.#word().slice(0, 2)}*`]))
    const pattern = pick(this.draw, PATTERNS)
    return pick<Expr>(this.draw, [
      relation(this.#text(), pick(this.draw, ['starts-with', 'ends-with', 'contains']), part),
      relation(this.#text(), 'like', glob),
      relation(this.#text(), pick(this.draw, ['contains-any', 'contains-all']), list(['re', 'URG', this.#word()])),
      { kind: 'matches', subject: this.#text(), pattern, flags: pick(this.draw, ['', 'i']), span: SPAN },
    ])
  }

  #lists(): Expr {
    const to = reference('args', 'to')
    const some = pick(this.draw, [named('known'), list(['ann@example.com', 'eve@example.net'])])
    const items = reference('args', 'items')
    return pick(this.draw, [
      relation(to, pick(this.draw, ['intersects', 'subset', 'contains-any', 'contains-all']), some),
      relation(to, 'contains', literal(pick(this.draw, ['ann@example.com', 'nobody']))),
      relation(items, pick(this.draw, ['contains', 'contains']), literal(this.#limit())),
      relation(items, pick(this.draw, ['intersects', 'subset']), list([1, 2, 3, 1000])),
      compare(call('count', pick(this.draw, [to, items])), this.#order(), literal(this.draw.int(4))),
      relation(literal('ann@example.com'), pick(this.draw, ['in', 'not-in']), to),
    ])
  }

  #quantifier(): Expr {
    const variable = { kind: 'identifier', name: 'x', span: SPAN } as const
    const quantifier = pick(this.draw, ['any', 'all'] as const)
    const x = named('x')
    const ofText = pick(this.draw, [
      relation(x, 'like', literal('*@example.com')),
      relation(call('domain', x), pick(this.draw, ['in', 'not-in']), list(['example.com', 'mail.example.org'])),
      compare(x, '!=', literal('ann@example.com')),
    ])
    const ofNumber = compare(x, this.#order(), pick(this.draw, [literal(this.#limit()), this.#number()]))
    const isText = once(this.draw, 2)
    const over = reference('args', isText ? 'to' : 'items')
    return { kind: 'quantifier', quantifier, variable, over, body: isText ? ofText : ofNumber, span: SPAN }
  }

  #maps(): Expr {
    const customer = (name: string) => reference('args', 'customer', name)
    return pick(this.draw, [
      compare(customer('tier'), pick(this.draw, ['==', '!=']), literal(pick(this.draw, ['gold', 'basic']))),
      compare(customer('score'), this.#order(), literal(pick(this.draw, [10, 0, 55.5]))),
      relation(customer('id'), pick(this.draw, ['in', 'not-in']), list(['c1', 'c2'])),
    ])
  }

  #identity(): Expr {
    const names = list(some(this.draw, ENVIRONMENTS, 2))
    return pick(this.draw, [
      compare(reference('env'), pick(this.draw, ['==', '!=']), literal(pick(this.draw, ENVIRONMENTS))),
      relation(reference('env'), pick(this.draw, ['in', 'not-in']), names),
      compare(reference('agent', 'team'), '==', literal(pick(this.draw, LABELS.team))),
      compare(reference('agent', 'labels', 'level'), '==', literal(pick(this.draw, LABELS.level))),
      compare(reference('principal', 'id'), '==', literal(pick(this.draw, PRINCIPALS))),
      relation(reference('principal', 'team'), 'in', list(some(this.draw, LABELS.team, 2))),
      relation(reference('tool', 'name'), 'starts-with', literal(pick(this.draw, ['db.', 'pay', 'issue']))),
      compare(reference('session', 'id'), pick(this.draw, ['==', '!=']), literal('s1')),
    ])
  }

  #clock(): Expr {
    const now = reference('now')
    const at: Expr = { kind: 'timestamp', ms: pick(this.draw, DATES), span: SPAN }
    const hours = pick(this.draw, [
      [540, 1020],
      [1320, 360],
      [0, 1440],
      [120, 180],
    ] as const)
    const window: Expr = {
      kind: 'time-window',
      subject: now,
      fromMinute: hours[0],
      untilMinute: hours[1],
      zone: pick(this.draw, ['UTC', 'America/New_York', 'Europe/Berlin', 'Asia/Kolkata']),
      days: pick(this.draw, [null, null, [1, 2, 3, 4, 5], [0, 6], [1]]),
      span: SPAN,
    }
    return pick(this.draw, [window, window, compare(now, pick(this.draw, ['<', '>=']), at)])
  }

  #existence(): Expr {
    const name = pick(this.draw, PARAMETER_NAMES)
    const there = exists(reference('args', name))
    return pick(this.draw, [
      there,
      exists(reference('context', 'risk')),
      exists(reference('principal', 'id')),
      logical('and', [there, compare(reference('args', 'amount'), '>', literal(this.#limit()))]),
      logical('or', [not(there), compare(reference('args', 'amount'), '>', literal(this.#limit()))]),
    ])
  }

  #functions(): Expr {
    const items = reference('args', 'items')
    const fn = pick(this.draw, ['sum', 'min', 'max'])
    return pick(this.draw, [
      compare(call(fn, items), this.#order(), literal(this.#limit())),
      compare(call('lower', this.#text()), pick(this.draw, ['==', '!=']), literal('hello')),
      relation(call('lower', this.#text()), 'contains', literal(pick(this.draw, ['urg', 'refund', 'ü']))),
      compare(call('length', this.#text()), this.#order(), literal(this.draw.int(8))),
      relation(call('strings', reference('args')), 'contains', literal(this.#word())),
      compare(call('count', call('recipients', reference('args'))), this.#order(), literal(1 + this.draw.int(3))),
    ])
  }

  #view(view: ViewName): Expr {
    const of = call(view, reference('args', VIEW_PARAMETERS[view]))
    const part = (name: string) => field(of, name)
    const either = <T>(...choices: T[]): T => pick(this.draw, choices)
    switch (view) {
      case 'sql':
        return either(
          relation(part('tables'), 'intersects', either(named('tables'), list(['users', 'accounts']))),
          relation(part('statements'), 'contains-any', list(either(['delete', 'drop', 'update'], ['select']))),
          relation(part('statements'), 'subset', list(['select'])),
          either(part('has_limit'), part('has_where'), part('multiple')),
        )
      case 'url':
        return either(
          relation(part('domain'), either('in', 'not-in'), list(['example.com'])),
          compare(part('host'), either('==', '!='), literal('api.example.com')),
          compare(part('scheme'), '==', literal(either('https', 'http'))),
          compare(part('port'), either('==', '>'), literal(443)),
          relation(part('path'), 'starts-with', literal(either('/v1', '/'))),
          either(part('has_credentials'), part('is_ip')),
        )
      case 'email':
        return either(
          compare(part('registrable'), either('==', '!='), literal('example.com')),
          relation(part('domain'), either('in', 'not-in'), list(['example.com', 'example.org'])),
          compare(part('address'), '==', literal('ceo@example.com')),
          relation(part('local'), 'in', list(['ann', 'bob'])),
        )
      case 'path':
        return either(
          relation(of, 'under', either(literal('/srv/data'), list(['/etc', '/srv/data']))),
          compare(part('extension'), either('==', '!='), literal('csv')),
          relation(part('text'), 'starts-with', literal('/srv')),
          compare(part('name'), '==', literal('passwd')),
          part('escapes'),
        )
      case 'ip': {
        const ranges: Expr = { kind: 'list-literal', items: [cidr('192.168.0.0/16'), cidr('8.8.8.8')], span: SPAN }
        return either(
          relation(of, either('in', 'not-in'), either(cidr('10.0.0.0/8'), ranges)),
          either(part('private'), part('loopback'), part('global')),
          compare(part('text'), '==', literal('10.1.2.3')),
        )
      }
      case 'shell':
        return either(
          relation(part('programs'), 'subset', either(named('programs'), list(['ls', 'cat', 'grep']))),
          relation(part('programs'), 'contains', literal(either('rm', 'echo'))),
          either(part('multiple'), part('pipes'), part('redirects')),
        )
      case 'json':
        return either(
          compare(part('action'), either('==', '!='), literal(either('close', 'open'))),
          compare(part('amount'), either('>', '=='), literal(either(10, 12))),
          exists(part('amount')),
        )
    }
  }
}

/** Named lists of every set, so that conditions may speak of them. */
export const NAMED_LISTS: ReadonlyMap<string, readonly ListItem[]> = new Map<string, readonly ListItem[]>([
  ['kinds', ['k1', 'k7', 'refund']],
  ['known', ['ann@example.com', 'CEO@EXAMPLE.COM']],
  ['tables', ['users', 'audit_log']],
  ['programs', ['ls', 'cat', 'echo']],
])

/** Names that the conditions use: parameters and lists that have to be declared. */
export function namesIn(conditions: readonly Expr[]): {
  readonly parameters: Set<string>
  readonly lists: Set<string>
} {
  const parameters = new Set<string>()
  const lists = new Set<string>()
  JSON.stringify(conditions, (_key, node: unknown) => {
    if (typeof node !== 'object' || node === null || !('kind' in node)) return node
    if (node.kind === 'name' && 'name' in node && NAMED_LISTS.has(String(node.name))) lists.add(String(node.name))
    if (node.kind === 'reference' && 'root' in node && node.root === 'args' && 'path' in node) {
      const [first] = node.path as string[]
      if (first !== undefined && first in PARAMETERS) parameters.add(first)
    }
    return node
  })
  return { parameters, lists }
}

/** Arguments that a rule reads, for requests that take one of them away. */
export function argumentsRead(conditions: readonly Expr[], args: JsonObject): string[] {
  return [...namesIn(conditions).parameters].filter((name) => Object.hasOwn(args, name))
}

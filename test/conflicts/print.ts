import type {
  ApprovalClause,
  Expr,
  Identifier,
  NamePattern,
  ObligationNode,
  RuleEffect,
  ScopeTerm,
} from '../../src/language/ast.js'
import type { ListItem } from '../../src/language/checked.js'
import type { Draw } from '../reference/draw.js'
import type { Model, ModelLayer, ModelPolicy, ModelRule, ModelTool } from './model.js'
import { PARAMETERS } from './vocabulary.js'

/** Texts by path: policies, and the list files that they name. */
export interface Files {
  readonly policies: Readonly<Record<string, string>>
  readonly attachments: Readonly<Record<string, string>>
}

/**
 * Writes a model down as its authors might have: a file a policy, clauses in any order, the same thing in one spelling or
 * another. Shares no code with the formatter of the language.
 *
 * @param draw chooses the spelling; every choice means the same
 * @param fileOf the name of a policy's file, without ending
 */
export function printModel({ fleet, tenants }: Model, draw: Draw, fileOf = (policy: string): string => policy): Files {
  const printer = new Printer(draw, fileOf)
  printer.layer('fleet/', fleet, null)
  for (const [tenant, layer] of tenants) printer.layer(tenant === 'default' ? '' : `tenants/${tenant}/`, layer, fleet)
  return printer.files()
}

const OPERATORS = {
  in: 'in',
  'not-in': 'not in',
  contains: 'contains',
  'contains-any': 'contains any of',
  'contains-all': 'contains all of',
  intersects: 'intersects',
  subset: 'subset of',
  'starts-with': 'starts with',
  'ends-with': 'ends with',
  like: 'like',
  under: 'under',
} as const
const LEVELS: Partial<Record<Expr['kind'], number>> = {
  quantifier: 0,
  or: 1,
  and: 2,
  not: 3,
  compare: 4,
  relation: 4,
  matches: 4,
  exists: 4,
  'time-window': 4,
  arithmetic: 5,
  negate: 7,
}
const POSTFIX = 8
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const WORD = /^[a-z_][a-z0-9_]*$/i
const RESERVED = new Set(
  'and or not in contains intersects subset starts ends like matches under exists any all true false null tag'.split(
    ' ',
  ),
)

/** Names that the text of a template puts in the place of parts of a rule. */
type Part = Expr | Identifier | NamePattern
type Holes = ReadonlyMap<Part, string>
const NO_HOLES: Holes = new Map()

class Printer {
  readonly #policies: Record<string, string> = {}
  readonly #attachments: Record<string, string> = {}

  constructor(
    private readonly draw: Draw,
    private readonly fileOf: (policy: string) => string,
  ) {}

  files(): Files {
    return { policies: this.#policies, attachments: this.#attachments }
  }

  layer(folder: string, layer: ModelLayer, fleet: ModelLayer | null): void {
    const shared = [
      ...layer.tools.map((tool) => this.#tool(tool)),
      ...[...layer.lists].map(([name, items]) => this.#list(folder, name, items)),
    ]
    const [first] = layer.policies
    // Declarations stand in the file of a policy or in one of their own; the fleet's need a fleet policy beside them.
    const apart = shared.length > 0 && (first === undefined || (fleet !== null && this.#once(3)))
    if (apart) this.#policies[`${folder}declarations.policy`] = `${shared.join('\n')}\n`
    for (const policy of layer.policies) {
      const own = policy === first && !apart ? shared : []
      this.#policies[`${folder}${this.fileOf(policy.name)}.policy`] = this.#policy(policy, own)
    }
  }

  #policy({ name, fleet, speaksFor, defaultEffect, rules }: ModelPolicy, shared: readonly string[]): string {
    const lines = [`${fleet ? 'fleet ' : ''}policy ${name}`]
    if (speaksFor.length > 0) lines.push(`for ${this.#scope(speaksFor, NO_HOLES)}`)
    if (defaultEffect.kind === 'default-allow') lines.push('default allow')
    else if (defaultEffect.kind === 'default-approval')
      lines.push(`default require ${this.#approval(defaultEffect.approval, NO_HOLES)}`)
    else if (!this.#once(2)) lines.push('default deny')
    return `${[...lines, ...shared, ...rules.map((rule) => this.#rule(rule))].join('\n')}\n`
  }

  #tool({ name, parameters, tags }: ModelTool): string {
    const fields = parameters.map((parameter) => `${key(parameter)}${this.#once(2) ? '?' : ''}: ${typeOf(parameter)}`)
    return `tool ${dotted(name)} { ${fields.join(', ')} }${tags.length === 0 ? '' : ` tags [${tags.join(', ')}]`}`
  }

  #list(folder: string, name: string, items: readonly ListItem[]): string {
    const fitsFile = items.length > 0 && items.every((item) => typeof item === 'string' && /^[a-z0-9.@-]+$/i.test(item))
    if (!fitsFile || this.#once(2)) return `list ${name} = [${items.map((item) => JSON.stringify(item)).join(', ')}]`
    this.#attachments[`${folder}lists/${name}.txt`] = `# ${name}\n${items.join('\n')}\n`
    return `list ${name} from "lists/${name}.txt"`
  }

  // -------------------------------------------------------------- rules

  #rule(rule: ModelRule): string {
    const { id, fromTemplate } = rule
    if (!fromTemplate) return `rule ${id} {\n${this.#clauses(rule, NO_HOLES)}\n}`
    const holes = this.#holes(rule)
    const parameters = [...holes.values()]
    const given = [...holes.keys()].map((part) => this.#argument(part))
    const body = this.#clauses(rule, holes)
    const name = `t_${id}`
    return [
      `template ${name}(${parameters.join(', ')}) {\n${body}\n}`,
      `use ${name}(${given.join(', ')}) as ${id}`,
    ].join('\n')
  }

  /** Constants of conditions, names of scopes and roles: at most four of a rule become parameters. */
  #holes({ scope, conditions, effect }: ModelRule): Holes {
    const names = scope.flatMap((term) => (term.kind === 'scope' ? term.patterns : []))
    const parts: Part[] = names.filter(({ kind }) => kind === 'literal')
    for (const condition of conditions) parts.push(...constantsOf(condition))
    if ('approval' in effect) parts.push(...effect.approval.stages.flatMap(({ from }) => from.map(({ role }) => role)))
    const chosen = parts.filter(() => this.#once(2)).slice(0, 4)
    return new Map(chosen.map((part, i) => [part, `p_${i}`]))
  }

  #argument(part: Part): string {
    if (part.kind === 'identifier') return JSON.stringify(part.name)
    return 'text' in part && part.kind !== 'cidr' ? JSON.stringify(part.text) : this.#expr(part, 0, NO_HOLES)
  }

  #clauses(rule: ModelRule, holes: Holes): string {
    const clauses: string[] = []
    if (rule.scope.length > 0) clauses.push(`on ${this.#scope(rule.scope, holes)}`)
    for (const condition of rule.conditions) {
      if (condition.kind === 'not' && this.#once(2)) clauses.push(`unless ${this.#expr(condition.operand, 0, holes)}`)
      else clauses.push(`when ${this.#expr(condition, 0, holes)}`)
    }
    clauses.push(this.#effect(rule.effect, holes))
    if (rule.severity !== null) clauses.push(`severity ${rule.severity}`)
    if (rule.tags.length > 0) clauses.push(`tags [${rule.tags.join(', ')}]`)
    if (rule.monitor) clauses.push('mode monitor')
    if (rule.active !== null) {
      const { fromMs, untilMs } = rule.active
      const until = untilMs === null ? '' : ` until ${timestamp(untilMs)}`
      clauses.push(`active${fromMs === null ? '' : ` from ${timestamp(fromMs)}`}${until}`)
    }
    if (rule.unknownMeansNoMatch) clauses.push('unknown means no match')
    if (this.#once(3)) clauses.unshift(clauses.splice(this.draw.int(clauses.length), 1)[0]!)
    return clauses.map((clause) => `  ${clause}`).join('\n')
  }

  #effect(effect: RuleEffect, holes: Holes): string {
    switch (effect.kind) {
      case 'allow':
        return effect.obligations.length === 0 ? 'allow' : `allow with ${effect.obligations.map(obligation).join(', ')}`
      case 'deny':
        return `deny${effect.why === '' ? '' : ` ${JSON.stringify(effect.why)}`}`
      case 'deny-except':
        return `deny except ${this.#approval(effect.approval, holes)}`
      case 'require-approval':
        return `require ${this.#approval(effect.approval, holes)}`
    }
  }

  #approval(clause: ApprovalClause, holes: Holes): string {
    const stages = clause.stages.map(({ from }) => {
      const groups = from.map(
        ({ count, role }) => `${count === 1 ? '' : `${count} of `}${holes.get(role) ?? role.name}`,
      )
      return groups.join(' and ')
    })
    const options: string[] = []
    const { onTimeout, withinMs } = clause
    if (withinMs !== null) {
      const last =
        onTimeout === null ? '' : onTimeout.kind === 'deny' ? ' else deny' : ` else escalate to ${onTimeout.role.name}`
      options.push(`within ${duration(withinMs)}${last}`)
    }
    for (const { role, afterMs } of clause.escalations)
      options.push(`escalate to ${role.name} after ${duration(afterMs)}`)
    if (clause.validForMs !== null) options.push(`valid for ${duration(clause.validForMs)}`)
    if (clause.notByRequester) options.push('not by requester')
    return ['approval from', stages.join(' then from '), ...options].join(' ')
  }

  // -------------------------------------------------------------- scope

  #scope(terms: readonly ScopeTerm[], holes: Holes): string {
    return terms.map((term) => this.#term(term, holes)).join(', ')
  }

  #term(term: ScopeTerm, holes: Holes): string {
    const names = term.patterns.map((pattern) => this.#pattern(pattern, term, holes))
    const set = `[${names.join(', ')}]`
    const [only] = names
    const single = names.length === 1 && !this.#once(4)
    if (term.kind === 'scope') return `${term.on} ${single ? only : this.#once(4) ? `in ${set}` : set}`
    if (!single) return `${term.on} ${term.label.name} in ${set}`
    return `${term.on} ${term.label.name} ${term.patterns[0]!.kind === 'glob' ? '' : '= '}${only}`
  }

  #pattern(pattern: NamePattern, term: ScopeTerm, holes: Holes): string {
    const { kind, text } = pattern
    if (kind === 'undeclared') return 'undeclared'
    if (kind === 'tag') return `tag ${text}`
    const hole = holes.get(pattern)
    if (hole !== undefined) return hole
    if (kind === 'literal') return this.#once(3) ? JSON.stringify(text) : dotted(text)
    const isBare = term.kind === 'scope' && /^[a-z_.-]*\*[a-z_.*-]*$/i.test(text) && text.length > 1
    return isBare && this.#once(2) ? text : `like ${JSON.stringify(text)}`
  }

  // -------------------------------------------------------------- conditions

  #expr(expr: Expr, level: number, holes: Holes): string {
    const hole = holes.get(expr)
    if (hole !== undefined) return hole
    const own = LEVELS[expr.kind] ?? POSTFIX
    const text = this.#bare(expr, own, holes)
    const isNegative = expr.kind === 'literal' && typeof expr.value === 'number' && expr.value < 0
    return own < level || (expr.kind === 'quantifier' && level > 0) || (isNegative && level > 4) ? `(${text})` : text
  }

  #bare(expr: Expr, own: number, holes: Holes): string {
    const inner = (child: Expr, level = own + 1) => this.#expr(child, level, holes)
    switch (expr.kind) {
      case 'literal':
        return JSON.stringify(expr.value)
      case 'duration':
        return duration(expr.ms)
      case 'timestamp':
        return timestamp(expr.ms)
      case 'cidr':
        return expr.text
      case 'list-literal':
        return `[${expr.items.map((item) => (holes.has(item) ? `(${inner(item)})` : inner(item, 0))).join(', ')}]`
      case 'map-literal':
        return `{ ${expr.entries.map((entry) => `${key(entry.key)}: ${inner(entry.value, 0)}`).join(', ')} }`
      case 'name':
        return expr.name
      case 'reference':
        return [expr.root, ...expr.path].reduce((text, name) => text + member(name))
      case 'field':
        return `${inner(expr.of, POSTFIX)}${member(expr.field)}`
      case 'index':
        return `${inner(expr.of, POSTFIX)}[${inner(expr.index, 0)}]`
      case 'call':
        return `${expr.fn}(${expr.args.map((argument) => inner(argument, 0)).join(', ')})`
      case 'not':
        return `not ${inner(expr.operand, own)}`
      case 'negate':
        return `-${inner(expr.operand, own)}`
      case 'and':
      case 'or':
        return expr.operands.map((operand) => inner(operand)).join(` ${expr.kind} `)
      case 'arithmetic':
        return `${inner(expr.left, POSTFIX)} ${expr.op} ${inner(expr.right, POSTFIX)}`
      case 'compare':
        return `${inner(expr.left)} ${expr.op} ${inner(expr.right)}`
      case 'relation':
        return `${inner(expr.left)} ${OPERATORS[expr.op]} ${inner(expr.right)}`
      case 'matches':
        return `${inner(expr.subject)} matches /${expr.pattern}/${expr.flags}`
      case 'exists':
        return `exists ${inner(expr.operand, POSTFIX)}`
      case 'quantifier':
        return `${expr.quantifier} ${expr.variable.name} in ${inner(expr.over, 5)}: ${inner(expr.body, 0)}`
      case 'time-window': {
        const times = [expr.fromMinute, expr.untilMinute].map((minute) => clock(minute)).join('..')
        const zone = expr.zone === 'UTC' && this.#once(2) ? '' : ` ${JSON.stringify(expr.zone)}`
        const days = expr.days === null ? '' : ` on [${expr.days.map((day) => DAYS[day]).join(', ')}]`
        return `${inner(expr.subject)} in ${times}${zone}${days}`
      }
    }
  }

  /** True once in `of` times. */
  #once(of: number): boolean {
    return this.draw.int(of) === 0
  }
}

/** Constants of a condition that a parameter of a template may stand for. */
function constantsOf(expr: Expr): Expr[] {
  switch (expr.kind) {
    case 'literal':
      return expr.value === null ? [] : [expr]
    case 'not':
      return constantsOf(expr.operand)
    case 'and':
    case 'or':
      return expr.operands.flatMap(constantsOf)
    case 'compare':
    case 'relation':
      return [expr.left, expr.right]
        .flatMap((side) => (side.kind === 'list-literal' ? side.items : [side]))
        .flatMap((side) =>
          side.kind === 'literal' || (side.kind === 'reference' && side.root === 'args') ? [side] : [],
        )
    default:
      return []
  }
}

function obligation(node: ObligationNode): string {
  if (node.kind === 'max_rows') return `max_rows ${node.rows}`
  return `${node.kind} ${node.kind === 'notify' ? JSON.stringify(node.target) : node.target}`
}

function typeOf(parameter: string): string {
  return PARAMETERS[parameter]?.type ?? 'any'
}
function key(name: string): string {
  return WORD.test(name) ? name : JSON.stringify(name)
}
function member(name: string): string {
  return WORD.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}
function dotted(name: string): string {
  const [first = '', ...rest] = name.split('.')
  const isPlain = [first, ...rest].every((part) => WORD.test(part)) && !RESERVED.has(first) && name !== 'undeclared'
  return isPlain ? name : JSON.stringify(name)
}
function timestamp(ms: number): string {
  const text = new Date(ms).toISOString()
  return text.endsWith('T00:00:00.000Z') ? text.slice(0, 10) : text.replace('.000Z', 'Z')
}
function duration(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const
  const unit = units.find(([, size]) => ms % size === 0 && ms > 0)
  return unit === undefined ? `${ms / 1000}s` : `${ms / unit[1]}${unit[0]}`
}
function clock(minute: number): string {
  return [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, '0')).join(':')
}

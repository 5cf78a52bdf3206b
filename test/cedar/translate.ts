import type { Expr, ExprNoExt, PatternElem, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { ENTITY, type EntityUid, nameOf } from './entities.js'
import { Inexpressible } from './inexpressible.js'

/**
 * Cedar's policies as rules of this language. Cedar skips a policy whose condition errs, and evaluates from left to right:
 * `err && false` errs, `false && err` is false. So every condition has two readings, a text that is true exactly where Cedar
 * says true, and one that is true exactly where it says false; what is neither erred. A permit is then an ALLOW under a
 * default that denies, a forbid a DENY that says `unknown means no match`.
 *
 * The call has the names of principal, action and resource in `args`, and the entities in `context.entities`.
 */
export interface Translated {
  /** The text of one rule. */
  readonly rule: string
  readonly effect: 'ALLOW' | 'DENY'
  /** Entities that the policy names. */
  readonly named: ReadonlySet<string>
  /** Whether values of the call are compared with each other, and not with constants alone. */
  readonly comparesValues: boolean
}

/** @throws {Inexpressible} with the reason */
export function translatePolicy(id: string, policy: PolicyJson): Translated {
  const translator = new Translator()
  const { effect, principal, action, resource, conditions } = policy
  const scope = [
    ...translator.scope('action', action),
    ...translator.scope('principal', principal),
    ...translator.scope('resource', resource),
  ]
  const when = [...scope.filter((part) => !part.startsWith('on ')).map((part) => part.slice('when '.length))]
  for (const { kind, body } of conditions) when.push(translator.truth(body, kind === 'when'))
  const on = scope.filter((part) => part.startsWith('on ')).map((part) => part.slice('on '.length))
  const clauses = [
    ...(on.length === 0 ? [] : [`  on ${on.join(', ')}`]),
    ...when.filter((text) => text !== 'true').map((text) => `  when ${text}`),
    effect === 'permit' ? '  allow' : '  deny',
    ...(effect === 'permit' ? [] : ['  unknown means no match']),
  ]
  const { named, comparesValues } = translator
  return {
    rule: `rule ${id} {\n${clauses.join('\n')}\n}`,
    effect: effect === 'permit' ? 'ALLOW' : 'DENY',
    named,
    comparesValues,
  }
}

type Kind = 'bool' | 'long' | 'string' | 'entity' | 'set' | 'record' | 'any'

/** One way in which an expression may have a value: a text for the value, and what must hold for this to be the way. */
interface Reading {
  readonly text: string
  readonly kind: Kind
  readonly when: readonly string[]
  readonly isConstant: boolean
}

/** A value that may come in more ways than this makes texts that nobody can check. */
const MOST_READINGS = 12
const MOST_CHARACTERS = 20_000

type Scope = PolicyJson['principal'] | PolicyJson['action'] | PolicyJson['resource']

class Translator {
  readonly named = new Set<string>()
  comparesValues = false
  #variables = 0

  /** `on …` where the index can look it up, else `when …`. */
  scope(variable: 'principal' | 'action' | 'resource', scope: Scope): string[] {
    const name = `args.${variable}.${ENTITY}`
    switch (scope.op) {
      case 'All':
        return []
      case '==': {
        if ('slot' in scope) throw new Inexpressible('a template')
        const uid = this.#name(scope.entity)
        const word = variable === 'action' ? 'tool' : variable === 'principal' ? 'agent' : null
        const isName = uid.length <= 256 && !/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Cs}/u.test(uid)
        return [
          word !== null && isName ? `on ${word} ${JSON.stringify(uid)}` : `when ${name} == ${JSON.stringify(uid)}`,
        ]
      }
      case 'in': {
        if ('slot' in scope) throw new Inexpressible('a template')
        const uids = 'entities' in scope ? scope.entities : [scope.entity]
        return [`when ${either(uids.map((uid) => this.#isIn(name, JSON.stringify(this.#name(uid)))))}`]
      }
      case 'is': {
        const is = `when ${isOfType(name, scope.entity_type)}`
        if (scope.in === undefined) return [is]
        if ('slot' in scope.in) throw new Inexpressible('a template')
        return [is, `when ${this.#isIn(name, JSON.stringify(this.#name(scope.in.entity)))}`]
      }
    }
  }

  #name(uid: Parameters<typeof nameOf>[0]): string {
    const name = nameOf(uid as EntityUid)
    this.named.add(name)
    return name
  }

  /** `e in f` of two entities, as texts of their names. */
  #isIn(name: string, other: string): string {
    return `(${name} == ${other} or context.entities[${name}].ancestors contains ${other})`
  }

  // -------------------------------------------------------------- conditions

  /** Text that is true exactly where Cedar evaluates the expression to `wanted`. */
  truth(expr: Expr, wanted: boolean): string {
    const text = this.#truth(expr, wanted)
    if (text.length > MOST_CHARACTERS) throw new Inexpressible('a condition too long to write out')
    return text
  }

  #truth(of: Expr, wanted: boolean): string {
    const expr = withoutExtensions(of)
    if ('Value' in expr && typeof expr.Value === 'boolean') return String(expr.Value === wanted)
    if ('!' in expr) return this.truth(expr['!'].arg, !wanted)
    if ('&&' in expr || '||' in expr) {
      const { left, right } = '&&' in expr ? expr['&&'] : expr['||']
      // Of `&&` true needs both sides, and false comes from the left alone, or from the right after a true left.
      const both = '&&' in expr === wanted
      if (both) return all([this.truth(left, wanted), this.truth(right, wanted)])
      return either([this.truth(left, wanted), all([this.truth(left, !wanted), this.truth(right, wanted)])])
    }
    if ('if-then-else' in expr) {
      const { if: condition, then, else: otherwise } = expr['if-then-else']
      return either([
        all([this.truth(condition, true), this.truth(then, wanted)]),
        all([this.truth(condition, false), this.truth(otherwise, wanted)]),
      ])
    }
    if ('==' in expr) return this.#equality(expr['=='].left, expr['=='].right, wanted)
    if ('!=' in expr) return this.#equality(expr['!='].left, expr['!='].right, !wanted)
    if ('<' in expr) return this.#order(expr['<'], '<', wanted)
    if ('<=' in expr) return this.#order(expr['<='], '<=', wanted)
    if ('>' in expr) return this.#order(expr['>'], '>', wanted)
    if ('>=' in expr) return this.#order(expr['>='], '>=', wanted)
    if ('in' in expr) return this.#in(expr.in.left, expr.in.right, wanted)
    if ('has' in expr) return this.#has(expr.has.left, expr.has.attr, wanted)
    if ('like' in expr) return this.#like(expr.like.left, expr.like.pattern, wanted)
    if ('is' in expr) return this.#is(expr.is, wanted)
    if ('contains' in expr) return this.#contains(expr.contains.left, expr.contains.right, wanted)
    if ('containsAll' in expr) return this.#sets(expr.containsAll, 'all', wanted)
    if ('containsAny' in expr) return this.#sets(expr.containsAny, 'any', wanted)
    if ('isEmpty' in expr) return this.#isEmpty(expr.isEmpty.arg, wanted)
    if ('hasTag' in expr) return this.#hasTag(expr.hasTag.left, expr.hasTag.right, wanted)
    return this.#over(expr, ({ text, kind }) =>
      kind === 'bool' || kind === 'any' ? `(${text}) == ${wanted}` : 'false',
    )
  }

  /** True for some reading of the value. */
  #over(expr: Expr, holds: (reading: Reading) => string): string {
    return either(this.#readings(expr).map((reading) => all([...reading.when, holds(reading)])))
  }

  #overBoth(left: Expr, right: Expr, holds: (left: Reading, right: Reading) => string): string {
    const pairs = this.#readings(left).flatMap((a) => this.#readings(right).map((b) => [a, b] as const))
    if (pairs.length > MOST_READINGS) throw new Inexpressible('a value that may come in too many ways')
    return either(pairs.map(([a, b]) => all([...a.when, ...b.when, holds(a, b)])))
  }

  /** Never errs by itself: values of different types are unequal. */
  #equality(left: Expr, right: Expr, wanted: boolean): string {
    return this.#overBoth(left, right, (a, b) => {
      this.#compares(a, b)
      const isSame = a.kind === b.kind || a.kind === 'any' || b.kind === 'any'
      const equal = isSame ? `(${a.text}) == (${b.text})` : 'false'
      if (wanted) return equal
      const unequal = isSame ? `(not exists ((${a.text}) == (${b.text})) or (${a.text}) != (${b.text}))` : 'true'
      return all([there(a), there(b), unequal])
    })
  }

  #compares(a: Reading, b: Reading): void {
    for (const { kind, isConstant } of [a, b]) {
      // Sets of the data are in order, and so are those of constants; one that is computed is as it comes.
      if ((kind === 'set' || kind === 'record') && !isConstant)
        throw new Inexpressible('equality with a computed set or record')
    }
    if (!a.isConstant && !b.isConstant) this.comparesValues = true
  }

  #order({ left, right }: { left: Expr; right: Expr }, op: '<' | '<=' | '>' | '>=', wanted: boolean): string {
    const opposite = { '<': '>=', '<=': '>', '>': '<=', '>=': '<' }[op]
    return this.#overBoth(left, right, (a, b) => {
      const are = [a, b].map((one) => isA(one, 'long'))
      return are.includes('false') ? 'false' : all([...are, `(${a.text}) ${wanted ? op : opposite} (${b.text})`])
    })
  }

  #in(left: Expr, right: Expr, wanted: boolean): string {
    if ('Set' in right) {
      const guards = right.Set.map((item) => this.#over(item, (one) => isA(one, 'entity')))
      const each = right.Set.map((item) => this.#in(left, item, wanted))
      const isEntity = this.#over(left, (one) => isA(one, 'entity'))
      return all([...guards, isEntity, wanted ? either(each) : all(each)])
    }
    return this.#overBoth(left, right, (a, b) => {
      const guard = isA(a, 'entity')
      if (guard === 'false') return 'false'
      const name = `(${a.text}).${ENTITY}`
      const ofEntity = this.#isInEntity(name, b, wanted)
      if (b.kind === 'entity') return all([guard, ofEntity])
      if (b.kind !== 'any' && b.kind !== 'set') return 'false'
      const item = `r${this.#variables++}`
      const other = `${item}.${ENTITY}`
      const areEntities = `(all ${item} in (${b.text}): exists ${other})`
      const anyOf = `(any ${item} in (${b.text}): ${this.#isIn(name, other)})`
      const ofSet = all([areEntities, wanted ? anyOf : `not ${anyOf}`])
      return all([guard, b.kind === 'set' ? ofSet : either([ofEntity, ofSet])])
    })
  }

  #isInEntity(name: string, of: Reading, wanted: boolean): string {
    const isIn = this.#isIn(name, `(${of.text}).${ENTITY}`)
    return wanted ? isIn : `not ${isIn}`
  }

  #has(left: Expr, path: string | readonly string[], wanted: boolean): string {
    const [attribute = '', ...rest] = typeof path === 'string' ? [path] : path
    if (rest.length > 0) {
      // `a has b.c` is `a has b && a.b has c`.
      const inner = (of: boolean) => this.#has({ '.': { left, attr: attribute } }, rest, of)
      const first = (of: boolean) => this.#has(left, attribute, of)
      return wanted ? all([first(true), inner(true)]) : either([first(false), all([first(true), inner(false)])])
    }
    return this.#over(left, (of) => {
      const ways = this.#attribute(of, attribute).map(({ text }) => text)
      if (ways.length === 0) return 'false'
      const has = either(ways.map((text) => `exists ${text}`))
      if (wanted) return has
      const kinds = either([isA(of, 'entity'), isA(of, 'record')])
      return all([kinds, `not ${has}`])
    })
  }

  #like(left: Expr, pattern: readonly PatternElem[], wanted: boolean): string {
    const glob = pattern.map((part) => {
      if (part === 'Wildcard') return '*'
      if (part.Literal.includes('*')) throw new Inexpressible('a pattern with a star that is no wildcard')
      return part.Literal
    })
    return this.#over(left, (of) => {
      if (of.kind !== 'string' && of.kind !== 'any') return 'false'
      const like = `(${of.text}) like ${JSON.stringify(glob.join(''))}`
      return wanted ? like : `not (${like})`
    })
  }

  #is(
    { left, entity_type: type, in: within }: { left: Expr; entity_type: string; in?: Expr },
    wanted: boolean,
  ): string {
    const isType = (holds: boolean) =>
      this.#over(left, (of) => {
        if (isA(of, 'entity') === 'false') return 'false'
        const is = isOfType(`(${of.text}).${ENTITY}`, type)
        return holds ? is : `not (${is})`
      })
    if (within === undefined) return isType(wanted)
    if (wanted) return all([isType(true), this.#in(left, within, true)])
    return either([isType(false), all([isType(true), this.#in(left, within, false)])])
  }

  #contains(left: Expr, right: Expr, wanted: boolean): string {
    return this.#overBoth(left, right, (set, item) => {
      const guard = isA(set, 'set')
      if (guard === 'false') return 'false'
      if (item.kind === 'set' || item.kind === 'record') this.#compares(item, item)
      if (!set.isConstant && !item.isConstant) this.comparesValues = true
      const isIn = `((${item.text}) in (${set.text}))`
      return all([guard, there(item), wanted ? isIn : `(not exists ${isIn} or not ${isIn})`])
    })
  }

  #sets({ left, right }: { left: Expr; right: Expr }, of: 'all' | 'any', wanted: boolean): string {
    return this.#overBoth(left, right, (a, b) => {
      const are = [a, b].map((one) => isA(one, 'set'))
      if (are.includes('false')) return 'false'
      if (!a.isConstant && !b.isConstant) this.comparesValues = true
      const holds = of === 'all' ? `((${b.text}) subset of (${a.text}))` : `((${a.text}) intersects (${b.text}))`
      return all([...are, wanted ? holds : `(not exists ${holds} or not ${holds})`])
    })
  }

  #isEmpty(arg: Expr, wanted: boolean): string {
    return this.#over(arg, (of) =>
      isA(of, 'set') === 'false' ? 'false' : `count(${of.text}) ${wanted ? '==' : '>'} 0`,
    )
  }

  #hasTag(left: Expr, right: Expr, wanted: boolean): string {
    return this.#overBoth(left, right, (of, key) => {
      const guards = [isA(of, 'entity'), isA(key, 'string')]
      if (guards.includes('false')) return 'false'
      const has = `exists context.entities[(${of.text}).${ENTITY}].tags[(${key.text})]`
      return all([...guards, wanted ? has : `not ${has}`])
    })
  }

  // -------------------------------------------------------------- values

  #readings(expr: Expr): readonly Reading[] {
    const readings = this.#valueReadings(expr)
    if (readings.length > MOST_READINGS) throw new Inexpressible('a value that may come in too many ways')
    return readings
  }

  #valueReadings(of: Expr): readonly Reading[] {
    const expr = withoutExtensions(of)
    if ('Value' in expr) return [this.#constant(expr.Value)]
    if ('Var' in expr) {
      const kind = expr.Var === 'context' ? 'record' : 'entity'
      // What the context holds is data, and so in order like all data.
      return [{ text: `args.${expr.Var}`, kind, when: [], isConstant: kind === 'record' }]
    }
    if ('.' in expr) return this.#overAttributes(expr['.'].left, expr['.'].attr)
    if ('if-then-else' in expr) {
      const { if: condition, then, else: otherwise } = expr['if-then-else']
      return [
        ...this.#guarded(this.truth(condition, true), then),
        ...this.#guarded(this.truth(condition, false), otherwise),
      ]
    }
    if ('Set' in expr) return this.#collection(expr.Set, 'set', (texts) => `[${texts.join(', ')}]`)
    if ('Record' in expr) {
      const keys = Object.keys(expr.Record)
      if (keys.includes(ENTITY)) throw new Inexpressible(`a record with the attribute ${ENTITY}`)
      return this.#collection(Object.values(expr.Record), 'record', (texts) => {
        return `{ ${texts.map((text, i) => `${JSON.stringify(keys[i])}: ${text}`).join(', ')} }`
      })
    }
    if ('getTag' in expr) {
      const { left, right } = expr.getTag
      return this.#readings(left).flatMap((of) =>
        this.#readings(right).map((key): Reading => {
          const text = `context.entities[(${of.text}).${ENTITY}].tags[(${key.text})]`
          const when = [...of.when, ...key.when, isA(of, 'entity'), isA(key, 'string')]
          return { text, kind: 'any', when, isConstant: false }
        }),
      )
    }
    const [operator = ''] = Object.keys(expr)
    if (ARITHMETIC.has(operator)) throw new Inexpressible('arithmetic of 64-bit integers')
    if ('Slot' in expr) throw new Inexpressible('a template')
    // All that is left is true or false.
    return [true, false].map((value) => ({
      ...this.#constant(value),
      when: [this.truth(expr, value)],
      isConstant: false,
    }))
  }

  #guarded(condition: string, expr: Expr): Reading[] {
    if (condition === 'false') return []
    return this.#readings(expr).map((reading) => ({ ...reading, when: [condition, ...reading.when] }))
  }

  #constant(value: unknown): Reading {
    const constant = { when: [], isConstant: true }
    switch (typeof value) {
      case 'boolean':
        return { ...constant, text: String(value), kind: 'bool' }
      case 'string':
        return { ...constant, text: JSON.stringify(value), kind: 'string' }
      case 'number':
      case 'bigint':
        if (!Number.isSafeInteger(Number(value))) throw new Inexpressible('an integer beyond 2^53 - 1 in a policy')
        return { ...constant, text: `${value}`, kind: 'long' }
    }
    if (typeof value === 'object' && value !== null && '__entity' in value) {
      const name = this.#name(value as { __entity: EntityUid })
      return { ...constant, text: `{ ${ENTITY}: ${JSON.stringify(name)} }`, kind: 'entity' }
    }
    throw new Inexpressible('a constant of an extension type')
  }

  /** Every item must have a value for the whole to have one. */
  #collection(items: readonly Expr[], kind: 'set' | 'record', write: (texts: readonly string[]) => string): Reading[] {
    let ways: (readonly Reading[])[] = [[]]
    for (const item of items) {
      ways = ways.flatMap((way) => this.#readings(item).map((reading) => [...way, reading]))
      if (ways.length > MOST_READINGS) throw new Inexpressible('a value that may come in too many ways')
    }
    return ways.map((parts) => {
      if (parts.some((part) => (part.kind === 'set' || part.kind === 'record') && !part.isConstant)) {
        throw new Inexpressible('computed sets or records in a set or record')
      }
      const isConstant = parts.every((part) => part.isConstant)
      const texts = parts.map(({ text }) => `(${text})`)
      const ordered = kind === 'set' && isConstant ? [...new Set(texts)].sort() : texts
      // Constants in the order of their texts are not in the order of the data: such a set is no constant to compare with.
      const isComparable = isConstant && (kind === 'record' || ordered.length < 2)
      const when = parts.flatMap((part) => [...part.when, there(part)]).filter((text) => text !== 'true')
      return { text: write(ordered), kind, when, isConstant: isComparable }
    })
  }

  #overAttributes(of: Expr, attribute: string): Reading[] {
    return this.#readings(of).flatMap((reading) =>
      this.#attribute(reading, attribute).map((found) => ({ ...found, when: [...reading.when, ...found.when] })),
    )
  }

  /** Of a record, of an entity, or of what may be either: then only one of the two is there. */
  #attribute({ text, kind }: Reading, attribute: string): Reading[] {
    if (attribute === ENTITY) throw new Inexpressible(`a record with the attribute ${ENTITY}`)
    const key = JSON.stringify(attribute)
    const found = (value: string): Reading => ({ text: value, kind: 'any', when: [], isConstant: false })
    const ofRecord = found(`(${text})[${key}]`)
    const ofEntity = found(`context.entities[(${text}).${ENTITY}].attrs[${key}]`)
    switch (kind) {
      case 'record':
        return [ofRecord]
      case 'entity':
        return [ofEntity]
      case 'any':
        return [ofRecord, ofEntity]
      default:
        return []
    }
  }
}

const ARITHMETIC = new Set(['+', '-', '*', 'neg'])
const OPERATORS = new Set(
  (
    'Value Var Slot ! neg == != in < <= > >= && || + - * contains containsAll containsAny isEmpty getTag hasTag . has like is ' +
    'if-then-else Set Record'
  ).split(' '),
)

function withoutExtensions(expr: Expr): ExprNoExt {
  const [operator = ''] = Object.keys(expr)
  if (!OPERATORS.has(operator)) throw new Inexpressible(`the extension function ${operator}`)
  return expr as ExprNoExt
}

/** What must hold for a reading to have a value at all. */
function there({ text, isConstant, kind }: Reading): string {
  return isConstant && kind !== 'record' ? 'true' : `exists (${text})`
}

/** Text that is true where a value is of a kind, and false or unknown elsewhere. */
function isA({ text, kind }: Reading, wanted: 'long' | 'string' | 'entity' | 'set' | 'record'): string {
  if (kind !== 'any') return kind === wanted ? 'true' : 'false'
  switch (wanted) {
    case 'long':
      return `exists ((${text}) < 0)`
    case 'string':
      return `exists ((${text}) == "")`
    case 'entity':
      return `exists (${text}).${ENTITY}`
    case 'set':
      return `exists count(${text})`
    case 'record':
      return `(exists ((${text}) == {}) and not exists (${text}).${ENTITY})`
  }
}

function isOfType(name: string, type: string): string {
  return `${name} starts with ${JSON.stringify(`${type}::"`)}`
}

function all(parts: readonly string[]): string {
  if (parts.includes('false')) return 'false'
  const real = [...new Set(parts)].filter((part) => part !== 'true')
  return real.length === 0 ? 'true' : real.length === 1 ? real[0]! : `(${real.join(' and ')})`
}

function either(parts: readonly string[]): string {
  if (parts.includes('true')) return 'true'
  const real = [...new Set(parts)].filter((part) => part !== 'false')
  return real.length === 0 ? 'false' : real.length === 1 ? real[0]! : `(${real.join(' or ')})`
}

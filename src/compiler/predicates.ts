import type { Expr } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import { canonical, ListIdentities } from './canonical.js'
import { staticCost } from './cost.js'
import { type Dependence, dependence } from './dependence.js'
import type { Layer } from './entry.js'
import type { TruthFn, ValueFn } from './predicate/frame.js'
import { lowerTruth, lowerValue, type Scope } from './predicate/lower.js'

/** The predicates of a policy set: equal ones are one, whatever rule or layer they stand in. */
export class Predicates {
  readonly functions: TruthFn[] = []
  readonly costs: number[] = []
  readonly dependences: Dependence[] = []
  readonly #ids = new Map<string, number>()
  readonly #slots = new Map<string, number>()
  readonly #identities = new ListIdentities()
  readonly #parametersOf: Readonly<Record<Layer, Scope['parametersOf']>>

  /** @param parametersOf names of the arguments that a tool is declared with, as each layer sees it; undefined for any other name */
  constructor(parametersOf: Readonly<Record<Layer, Scope['parametersOf']>>) {
    this.#parametersOf = parametersOf
  }

  get slots(): number {
    return this.#slots.size
  }

  /** The predicate of a condition. @throws {RegexError} for a pattern that has no linear-time form */
  ofCondition(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>, layer: Layer): number {
    const key = canonical(expr, lists, [], this.#identities, layer).key
    return this.#intern(key, staticCost(expr), dependence(expr), () => lowerTruth(expr, this.#scope(lists, layer)))
  }

  /** A predicate of the scope, under a key of the caller's; it reads nothing but agent, principal and clock. */
  ofScope(key: string, cost: number, make: () => TruthFn): number {
    return this.#intern(`scope ${key}`, cost, 'caller', make)
  }

  /** Reads a value of the call, which is the same in both layers, at most once a decision. */
  reader(reference: Extract<Expr, { kind: 'reference' }>, lists: ReadonlyMap<string, readonly ListItem[]>): ValueFn {
    return lowerValue(reference, this.#scope(lists, 'tenant'))
  }

  #intern(key: string, cost: number, depends: Dependence, make: () => TruthFn): number {
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.functions.length
    this.functions.push(make())
    this.costs.push(cost)
    this.dependences.push(depends)
    this.#ids.set(key, id)
    return id
  }

  #scope(lists: ReadonlyMap<string, readonly ListItem[]>, layer: Layer): Scope {
    return {
      lists,
      variables: [],
      parametersOf: this.#parametersOf[layer],
      slotOf: (key) => this.#slot(key),
      invariantKey: (expr, scope) => {
        const { key, usesVariable } = canonical(expr, scope.lists, scope.variables, this.#identities, layer)
        return usesVariable ? undefined : key
      },
    }
  }

  #slot(key: string): number {
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    this.#slots.set(key, this.#slots.size)
    return this.#slots.size - 1
  }
}

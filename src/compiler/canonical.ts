import type { Expr } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import { assertNever } from '../model/assert-never.js'
import type { Layer } from './entry.js'

/** Gives each list of a bundle one number, so that a key need not hold ten thousand items. */
export class ListIdentities {
  readonly #numbers = new Map<readonly ListItem[], number>()

  of(list: readonly ListItem[]): number {
    const known = this.#numbers.get(list)
    if (known !== undefined) return known
    this.#numbers.set(list, this.#numbers.size)
    return this.#numbers.size - 1
  }
}

export interface Canonical {
  /** Equal texts mean equal values for every call; variables are named by their depth. */
  readonly key: string
  /** True when a quantifier variable from outside is read, so that the value changes within one decision. */
  readonly usesVariable: boolean
}

/** The text under which equal expressions meet, whatever rule, layer or spelling of variables they come from. */
export function canonical(
  expr: Expr,
  lists: ReadonlyMap<string, readonly ListItem[]>,
  variables: readonly string[],
  identities: ListIdentities,
  layer: Layer,
): Canonical {
  const outer = variables.length
  let usesVariable = false

  function write(node: Expr, names: readonly string[]): string {
    const all = (nodes: readonly Expr[]) => nodes.map((child) => write(child, names)).join(',')
    switch (node.kind) {
      case 'literal':
        return JSON.stringify(node.value)
      case 'duration':
        return `duration(${node.ms})`
      case 'timestamp':
        return `timestamp(${node.ms})`
      case 'cidr':
        return `cidr(${JSON.stringify(node.text)})`
      case 'list-literal':
        return `[${all(node.items)}]`
      case 'map-literal':
        return `{${node.entries.map(({ key, value }) => `${JSON.stringify(key)}:${write(value, names)}`).join(',')}}`
      case 'reference':
        return `${node.root}${JSON.stringify(node.path)}`
      case 'name': {
        const depth = names.lastIndexOf(node.name)
        if (depth < 0) return listKey(node.name)
        if (depth < outer) usesVariable = true
        return `variable(${depth})`
      }
      case 'field':
        return `field(${write(node.of, names)},${JSON.stringify(node.field)})`
      case 'index':
        return `index(${all([node.of, node.index])})`
      case 'call':
        // The one function that does not see the same in both layers.
        return `call(${JSON.stringify(node.fn)}${node.fn === 'undeclared' ? layer : ''},${all(node.args)})`
      case 'not':
      case 'negate':
      case 'exists':
        return `${node.kind}(${write(node.operand, names)})`
      case 'and':
      case 'or':
        return `${node.kind}(${all(node.operands)})`
      case 'arithmetic':
      case 'compare':
      case 'relation':
        return `${node.kind}(${JSON.stringify(node.op)},${all([node.left, node.right])})`
      case 'matches':
        return `matches(${write(node.subject, names)},${JSON.stringify([node.pattern, node.flags])})`
      case 'quantifier': {
        const body = write(node.body, [...names, node.variable.name])
        return `${node.quantifier}(${write(node.over, names)},${names.length},${body})`
      }
      case 'time-window':
        return `window(${write(node.subject, names)},${JSON.stringify([node.fromMinute, node.untilMinute, node.zone, node.days])})`
      default:
        return assertNever(node)
    }
  }

  function listKey(name: string): string {
    const list = lists.get(name)
    return list === undefined ? `nothing(${JSON.stringify(name)})` : `list(${identities.of(list)})`
  }

  return { key: write(expr, variables), usesVariable }
}

import type { Span } from '../../model/span.js'
import type { Expr } from '../ast.js'
import type { ListItem } from '../checked.js'
import { type Fold, foldOfField, foldOfFunction } from '../folds.js'
import { children } from '../walk.js'
import type { RuleCheck } from './context.js'

/**
 * Constants in a spelling that the value beside them never has: `sql(args.sql).tables intersects ["Users"]`. The condition
 * would be false for every call without anybody being told, and a rule that denies by it would let all of them through.
 */
export const unmatchable: RuleCheck = ({ node, surveys }, { lists }, report) => {
  const search = new Search(lists, ({ text, fold, hint }, span) => {
    const message = `\`${text}\` can never be found here: what it is compared with is always ${fold.says}`
    report('POL2114', span, message, hint)
  })
  for (const [at, { expr }] of node.body.conditions.entries()) {
    // Only functions and views fold.
    if (surveys[at]?.has('call')) search.expr(expr, NO_VARIABLES)
  }
}

interface Mismatch {
  readonly text: string
  readonly fold: Fold
  readonly hint: string | undefined
}

/** What is known of a quantifier variable: how its values are spelled, or what constants it runs over. */
interface Variable {
  readonly fold: Fold | undefined
  readonly constants: readonly ListItem[] | undefined
}

type Variables = ReadonlyMap<string, Variable>
const NO_VARIABLES: Variables = new Map()

class Search {
  constructor(
    readonly lists: ReadonlyMap<string, readonly ListItem[]>,
    readonly report: (mismatch: Mismatch, span: Span) => void,
  ) {}

  expr(expr: Expr, variables: Variables): void {
    if (expr.kind === 'quantifier') {
      this.expr(expr.over, variables)
      const over = this.#foldOf(expr.over, variables)
      const variable = {
        fold: over?.isList === true ? { ...over, isList: false } : undefined,
        constants: this.#constantsOf(expr.over, variables),
      }
      this.expr(expr.body, new Map([...variables, [expr.variable.name, variable]]))
      return
    }
    for (const child of children(expr)) this.expr(child, variables)
    if (expr.kind === 'compare' && (expr.op === '==' || expr.op === '!=')) {
      this.#both(expr.left, expr.right, 'whole', variables)
    } else if (expr.kind === 'relation' && expr.op !== 'under') {
      this.#both(expr.left, expr.right, this.#reach(expr, variables), variables)
    } else if (expr.kind === 'matches') {
      const fold = this.#foldOf(expr.subject, variables)
      if (fold?.isLower !== true || expr.flags.includes('i')) return
      if (needsCapital(expr.pattern)) this.report({ text: expr.pattern, fold, hint: 'ignore case: `/…/i`' }, expr.span)
    }
  }

  #reach({ op, left }: Extract<Expr, { kind: 'relation' }>, variables: Variables): 'whole' | 'part' {
    if (op === 'starts-with' || op === 'ends-with' || op === 'like') return 'part'
    const isContains = op === 'contains' || op === 'contains-any' || op === 'contains-all'
    return isContains && this.#foldOf(left, variables)?.isList === false ? 'part' : 'whole'
  }

  #both(left: Expr, right: Expr, reach: 'whole' | 'part', variables: Variables): void {
    this.#side(left, right, reach, variables)
    this.#side(right, left, reach, variables)
  }

  #side(value: Expr, constant: Expr, reach: 'whole' | 'part', variables: Variables): void {
    const fold = this.#foldOf(value, variables)
    if (fold === undefined) return
    // The first is enough: a list of ten thousand entries in capitals has one fault.
    const odd = this.#constantsOf(constant, variables)?.find(
      (item) => typeof item === 'string' && fold[reach](item) !== item,
    )
    if (typeof odd !== 'string') return
    const wanted = fold[reach](odd)
    this.report({ text: odd, fold, hint: wanted === null ? undefined : `write \`${wanted}\`` }, constant.span)
  }

  #foldOf(expr: Expr, variables: Variables): Fold | undefined {
    switch (expr.kind) {
      case 'call':
        return foldOfFunction(expr.fn)
      case 'field':
        return expr.of.kind === 'call' ? foldOfField(expr.of.fn, expr.field) : undefined
      case 'index': {
        const of = this.#foldOf(expr.of, variables)
        return of?.isList === true ? { ...of, isList: false } : undefined
      }
      case 'name':
        return variables.get(expr.name)?.fold
      default:
        return undefined
    }
  }

  #constantsOf(expr: Expr, variables: Variables): readonly ListItem[] | undefined {
    switch (expr.kind) {
      case 'literal':
        return [expr.value]
      case 'list-literal':
        return expr.items.flatMap((item) => this.#constantsOf(item, variables) ?? [])
      case 'name':
        return variables.has(expr.name) ? variables.get(expr.name)?.constants : this.lists.get(expr.name)
      default:
        return undefined
    }
  }
}

/** Whether a text needs a capital letter to match, classes and escapes aside: an approximation that errs to silence. */
function needsCapital(pattern: string): boolean {
  const plain = pattern
    .replace(/\\[pP]\{[^}]*\}|\\./g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\(\?[^)]*/g, '')
  return /\p{Lu}/u.test(plain) && !plain.includes('|')
}

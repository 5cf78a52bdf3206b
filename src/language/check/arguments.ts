import type { Expr } from '../ast.js'
import type { CheckedTool } from '../checked.js'
import { toolsInScope } from '../patterns.js'
import { oneOf } from '../suggest.js'
import type { Fields } from '../types.js'
import { walk } from '../walk.js'
import { guardedArguments, toolsSeenBy } from './conditions.js'
import { type Check, everyLayer, type RuleSite } from './context.js'

type Field = Fields extends ReadonlyMap<string, infer F> ? F : never
type Reference = Extract<Expr, { kind: 'reference' }>

/**
 * Arguments that a call may lack: the condition is then unknown, which makes a restrictive rule match and an allow rule not.
 * `exists args.x` anywhere in the rule shows that the author thought of it.
 */
export const unguardedArguments: Check = (context) => {
  for (const layer of everyLayer(context)) {
    const tools = toolsSeenBy(layer, context)
    for (const site of layer.rules) {
      const { rule } = site
      if (rule.unknownMeansNoMatch) continue
      const { declared } = toolsInScope([...site.policy.speaksFor, ...rule.scope], tools)
      if (declared.length === 0) continue
      const guarded = guardedArguments(rule.conditions)
      const read = new Map<string, Reference>()
      for (const condition of rule.conditions) collect(condition, read)
      for (const [name, reference] of read) {
        if (guarded.has(name)) continue
        const lacking = declared.filter((tool) => mayLack(tool, reference.path))
        // Where no tool has the argument, the check of names has said so.
        if (lacking.length > 0 && declared.some(({ parameters }) => parameters.has(name))) {
          report(context, site, reference, lacking)
        }
      }
    }
  }
}

/** The first reading of each argument. */
function collect(condition: Expr, read: Map<string, Reference>): void {
  walk(condition, (expr) => {
    if (expr.kind !== 'reference' || expr.root !== 'args') return
    const [name] = expr.path
    if (name !== undefined && !read.has(name)) read.set(name, expr)
  })
}

function mayLack({ parameters }: CheckedTool, path: readonly string[]): boolean {
  let fields: Fields | null = parameters
  for (const step of path) {
    if (fields === null) return false
    const field: Field | undefined = fields.get(step)
    // An unknown field inside an argument is an error of its own.
    if (field === undefined) return fields === parameters
    if (field.optional) return true
    fields = field.type.kind === 'map' ? field.type.fields : null
  }
  return false
}

function report(
  { reporter }: Parameters<Check>[0],
  { rule }: RuleSite,
  reference: Reference,
  lacking: readonly CheckedTool[],
): void {
  const names = lacking.slice(0, 3).map(({ name }) => `\`${name}\``)
  const more = lacking.length > names.length ? ` and ${lacking.length - names.length} more` : ''
  const argument = `args.${reference.path.join('.')}`
  const what = `a call of ${oneOf(names)}${more} may lack \`${argument}\``
  const guard = `exists args.${reference.path[0]}`
  const place = rule.locate(reference.span)
  if (rule.effect.kind === 'allow') {
    reporter.report('POL3009', place, `${what}; this allow rule does not match then`, `say so with \`${guard} and …\``)
    return
  }
  const hint = `write \`${guard} and …\` to leave such calls alone, or \`not ${guard} or …\` to keep matching them on purpose`
  reporter.report('POL3008', place, `${what}; this rule counts as matched then`, hint)
}

import type { Expr } from '../ast.js'
import type { CheckedTool } from '../checked.js'
import { oneOf } from '../suggest.js'
import type { Fields } from '../types.js'
import type { JudgedRule, ReportAt, RuleCheck } from './context.js'

type Field = Fields extends ReadonlyMap<string, infer F> ? F : never
type Reference = Extract<Expr, { kind: 'reference' }>

/**
 * Arguments that a call may lack: the condition is then unknown, which makes a restrictive rule match and an allow rule not.
 * `exists args.x` anywhere in the rule shows that the author thought of it.
 */
export const unguardedArguments: RuleCheck = (rule, _, report) => {
  if (rule.node.body.unknownMeansNoMatch || !rule.surveys.some((survey) => survey.has('reference'))) return
  const { declared } = rule.tools
  if (declared.length === 0) return
  for (const [name, reference] of firstReadings(rule)) {
    if (rule.guarded.has(name)) continue
    const lacking = declared.filter((tool) => mayLack(tool, reference.path))
    // Where no tool has the argument, the check of names has said so.
    if (lacking.length > 0 && declared.some(({ parameters }) => parameters.has(name))) {
      reportLacking(rule, reference, lacking, report)
    }
  }
}

/** The first reading of each argument. */
function firstReadings({ surveys }: JudgedRule): ReadonlyMap<string, Reference> {
  const read = new Map<string, Reference>()
  for (const { nodes } of surveys) {
    for (const expr of nodes) {
      if (expr.kind !== 'reference' || expr.root !== 'args') continue
      const [name] = expr.path
      if (name !== undefined && !read.has(name)) read.set(name, expr)
    }
  }
  return read
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

function reportLacking(
  { node }: JudgedRule,
  reference: Reference,
  lacking: readonly CheckedTool[],
  report: ReportAt,
): void {
  const names = lacking.slice(0, 3).map(({ name }) => `\`${name}\``)
  const more = lacking.length > names.length ? ` and ${lacking.length - names.length} more` : ''
  const argument = `args.${reference.path.join('.')}`
  const what = `a call of ${oneOf(names)}${more} may lack \`${argument}\``
  const guard = `exists args.${reference.path[0]}`
  if (node.body.effect.kind === 'allow') {
    const message = `${what}; this allow rule does not match then`
    report('POL3009', reference.span, message, `say so with \`${guard} and …\``)
    return
  }
  const hint = `write \`${guard} and …\` to leave such calls alone, or \`not ${guard} or …\` to keep matching them on purpose`
  report('POL3008', reference.span, `${what}; this rule counts as matched then`, hint)
}

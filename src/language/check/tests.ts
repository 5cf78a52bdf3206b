import type { Location, Span } from '../../model/span.js'
import type { Expr, GivenCall } from '../ast.js'
import type { Reporter } from '../report.js'
import { didYouMean } from '../suggest.js'
import { walk } from '../walk.js'
import { type Check, everyLayer, type LayerView, type RuleSite } from './context.js'

/** Tests give constants, and expect rules that exist. Whether they pass is for the test runner. */
export const tests: Check = (context) => {
  if (everyLayer(context).every(({ layer }) => layer.tests.length === 0)) return
  const fleetIds = context.fleet.rules.map(({ rule }) => rule.id)
  const tenantIds = context.tenants.flatMap(({ rules }) => rules.map(({ rule }) => rule.id))
  const aboutArguments = new Set(everyLayer(context).flatMap(({ rules }) => rules.filter(readsUndeclared).map(ruleId)))
  for (const layer of everyLayer(context)) {
    const own = layer.rules.map(({ rule }) => rule.id)
    const known = new Set([...fleetIds, ...(layer.id === null ? tenantIds : own), 'default'])
    for (const { test, locate } of layer.layer.tests) {
      for (const given of test.given) {
        checkConstants(given, locate, context.reporter)
        // Who expects a rule about undeclared arguments to decide gives one on purpose.
        if (!test.expect.by.some((id) => aboutArguments.has(id))) checkArguments(given, layer, locate, context.reporter)
      }
      for (const id of test.expect.by) {
        if (known.has(id)) continue
        const hint = didYouMean(id, known) ?? 'name a rule of this tenant or of the fleet, or `default`'
        context.reporter.report('POL2402', locate(test.expect.span), `there is no rule \`${id}\``, hint)
      }
    }
  }
}

const CONSTANT: ReadonlySet<Expr['kind']> = new Set<Expr['kind']>(['literal', 'list-literal', 'map-literal'])

const ruleId = ({ rule }: RuleSite): string => rule.id

const readsUndeclared = ({ core }: RuleSite): boolean => core.readsUndeclared

type Locate = (span: Span) => Location

function checkConstants(given: GivenCall, locate: Locate, reporter: Reporter): void {
  for (const map of [given.args, given.context, given.agentLabels, given.principalLabels]) {
    if (map === null) continue
    walk(map, (expr) => {
      if (CONSTANT.has(expr.kind)) return
      const hint =
        expr.kind === 'name'
          ? `write \`"${expr.name}"\` for the text`
          : 'write JSON values: texts, numbers, true, false, null, lists and maps'
      reporter.report('POL2401', locate(expr.span), 'a test gives constants', hint)
    })
  }
}

function checkArguments(given: GivenCall, { layer }: LayerView, locate: Locate, reporter: Reporter): void {
  const tool = layer.tools.get(given.tool)
  if (tool === undefined || given.args?.kind !== 'map-literal') return
  for (const { key, value } of given.args.entries) {
    if (tool.parameters.has(key)) continue
    const message = `tool \`${tool.name}\` takes no argument \`${key}\``
    reporter.report('POL2403', locate(value.span), message, didYouMean(key, tool.parameters.keys()))
  }
}

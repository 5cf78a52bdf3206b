import { type Check, everyLayer } from './context.js'

/** `unknown means no match` turns fail-closed into fail-open for one restrictive rule; a reviewer should see it. */
export const unknownHandling: Check = (context) => {
  for (const layer of everyLayer(context)) {
    for (const { rule } of layer.rules) {
      if (!rule.unknownMeansNoMatch) continue
      if (rule.effect.kind === 'allow') {
        const message = `\`unknown means no match\` says nothing new: an allow rule never matches on unknown`
        context.reporter.report('POL3010', rule.location, message, 'drop it')
      } else {
        const message = `rule \`${rule.id}\` does not restrict calls that it cannot evaluate`
        context.reporter.report(
          'POL3010',
          rule.location,
          message,
          'guard with `exists` instead where a missing argument is the reason',
        )
      }
    }
  }
}

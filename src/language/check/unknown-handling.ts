import type { RuleCheck } from './context.js'

/** `unknown means no match` turns fail-closed into fail-open for one restrictive rule; a reviewer should see it. */
export const unknownHandling: RuleCheck = ({ node }, _, report) => {
  if (!node.body.unknownMeansNoMatch) return
  if (node.body.effect.kind === 'allow') {
    const message = `\`unknown means no match\` says nothing new: an allow rule never matches on unknown`
    report('POL3010', null, message, 'drop it')
    return
  }
  const message = `rule \`${node.id.name}\` does not restrict calls that it cannot evaluate`
  report('POL3010', null, message, 'guard with `exists` instead where a missing argument is the reason')
}

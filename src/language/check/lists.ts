import { type Check, everyLayer } from './context.js'

/** A list without entries: `in` it is never true, and `not in` it always. */
export const emptyLists: Check = (context) => {
  for (const layer of everyLayer(context)) {
    for (const { node, locate } of layer.lists) {
      const isWritten = node.source.kind === 'inline' && node.source.items.length > 0
      if (isWritten || layer.layer.lists.get(node.name.name)?.length !== 0) continue
      if (context.reporter.hasErrorAt(locate(node.source.span))) continue
      const message = `list \`${node.name.name}\` is empty: nothing is in it, and everything is not in it`
      context.reporter.report('POL2307', locate(node.name.span), message, 'fill it, or drop it with what reads it')
    }
  }
}

import type { Span } from '../../model/span.js'
import { printString } from '../literals.js'
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

/** Characters that nobody sees: an entry that holds one equals nothing that a call brings. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\ufeff]/

/** Entries that look like what they are not: a denial by such a list would be without effect. */
export const listEntries: Check = (context) => {
  for (const layer of everyLayer(context)) {
    for (const { node, locate } of layer.lists) {
      const report = (code: 'POL2112' | 'POL2116', span: Span, message: string, hint: string): void =>
        context.reporter.report(code, locate(span), message, hint)
      if (node.source.kind === 'inline') {
        for (const item of node.source.items) {
          if (item.kind !== 'literal' || typeof item.value !== 'number') continue
          if (!Number.isInteger(item.value) || Number.isSafeInteger(item.value)) continue
          const message = 'this entry is larger than a number can hold exactly (2^53 - 1)'
          report('POL2112', item.span, message, 'write account numbers and the like as texts, in double quotes')
        }
        continue
      }
      for (const entry of layer.layer.lists.get(node.name.name) ?? []) {
        const fault = typeof entry === 'string' ? faultOfEntry(entry) : null
        if (fault === null) continue
        report('POL2116', node.source.span, `the entry ${printString(String(entry))} ${fault}`, LIST_FILE)
        break
      }
    }
  }
}

const LIST_FILE = 'a list file has one entry a line, as it is, without quotes and commas'

function faultOfEntry(entry: string): string | null {
  if (UNSEEN.test(entry)) return 'holds a character that is not seen'
  if (/^".*",?$/.test(entry)) return 'is in quotes, which are part of it'
  return entry.endsWith(',') ? 'ends with a comma, which is part of it' : null
}

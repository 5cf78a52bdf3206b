import { escapeUnseen } from '../model/unseen.js'

/**
 * Somebody else's text as one line that shows all there is in it: line breaks, controls, bidirectional and invisible marks
 * become `\uXXXX`, and what is longer than `most` code points is cut, with `…` in place of the rest.
 */
export function visible(text: string, most: number): string {
  // Escaping makes text longer, never shorter: what is far beyond the cap need not be looked at.
  const shown = escapeUnseen(text.slice(0, 2 * most + 2).normalize('NFC'))
  const points = Array.from(shown)
  return points.length <= most && text.length <= 2 * most + 2 ? shown : `${points.slice(0, most - 1).join('')}…`
}

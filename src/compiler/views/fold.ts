/** Rounds of percent-decoding; a text that still changes after them hides something. */
const MAX_DECODINGS = 5

/** Characters that a reader does not see and that some programs drop: zero-width, joiners, variation selectors, fillers. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

export function hasInvisible(text: string): boolean {
  return INVISIBLE.test(text)
}

export function hasControl(text: string): boolean {
  return CONTROL.test(text)
}

/**
 * The text after each round of percent-decoding, the text itself first and the stable one last. `undefined` where an escape
 * is no UTF-8 (overlong forms are not), or is of the `%u002e` kind, or the text does not settle. A `%` that starts no escape
 * stands for itself.
 */
export function percentDecodings(text: string): readonly string[] | undefined {
  const rounds = [text]
  let current = text
  for (let round = 0; round <= MAX_DECODINGS; round++) {
    if (/%u[0-9a-f]{4}/i.test(current)) return undefined
    const next = decodeOnce(current)
    if (next === undefined) return undefined
    if (next === current) return rounds
    rounds.push(next)
    current = next
  }
  return undefined
}

function decodeOnce(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return text.replace(/(?:%[0-9a-f]{2})+/gi, decodeURIComponent)
  } catch {
    return undefined
  }
}

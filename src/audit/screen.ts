/**
 * A cheap look at a text before the patterns of mask.ts: false means that none of them can match. It may say yes to harmless
 * text, which costs time, and never no to a secret; test/audit/mask.test.ts holds it to that.
 *
 * One pass, three operations a character: characters are folded to 5 bits (which also folds the case of letters), three in
 * a row are an index, and a mark of four is two overlapping triples. Text as it stands in JSON serves as well as bare text:
 * no mark holds a character that JSON escapes.
 */

/** Something of three or four characters that every match of a pattern contains, for each pattern and each of its forms. */
const MARKS = [
  // JWT; AWS; GitHub; GitLab; Slack; keys that begin with sk-, sk_, rk_ or pk_; Google; npm; a Slack webhook; a key block
  ...['eyj', 'akia', 'asia', 'aroa', 'aida', 'ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'b_pa', 'glpa', 'xox'],
  ...['sk-', 'sk_', 'rk_', 'pk_', 'aiza', 'npm_', 'ks.s', '----'],
  // credentials with their scheme, in a URL, behind their name
  ...['bear', 'basi', '://', 'assw', 'pwd', 'ecre', 'apik', 'pi_k', 'pi-k', 'toke'],
]

const WHOLE = 1
const BEGINS = 2
const ENDS = 4
/** Of a folded character. */
export const LETTER_BITS = 5
/** Marks by three folded characters; a power of two long. */
export const TRIPLES = new Uint8Array(1 << (3 * LETTER_BITS))
for (const mark of MARKS) {
  if (mark.length === 3) TRIPLES[tripleOf(mark, 0)]! |= WHOLE
  else {
    TRIPLES[tripleOf(mark, 0)]! |= BEGINS
    TRIPLES[tripleOf(mark, 1)]! |= ENDS
  }
}

/** Not 0 when a mark ends here, by the entries of {@link TRIPLES} for this character and the one before it. */
export function secretMarks(marks: number, before: number): number {
  return (marks & WHOLE) | ((marks >> 2) & (before >> 1))
}

function tripleOf(text: string, at: number): number {
  return ((text.charCodeAt(at) & 31) << 10) | ((text.charCodeAt(at + 1) & 31) << 5) | (text.charCodeAt(at + 2) & 31)
}

/** False when no secret, and no number as long as that of a card, is in the text. */
export function mayHoldSecret(text: string): boolean {
  let triple = 0
  let before = 0
  let found = 0
  for (let i = 0; i < text.length; i++) {
    triple = ((triple << LETTER_BITS) | (text.charCodeAt(i) & 31)) & (TRIPLES.length - 1)
    const marks = TRIPLES[triple]!
    found |= secretMarks(marks, before)
    before = marks
  }
  return found !== 0 || holdsCard(text)
}

/** Digits of the shortest number of a card. They may stand apart by single spaces or dashes. */
const CARD_DIGITS = 13

/** Whether digits for a card stand in a row. Looks at every twelfth character only: one of them lies in any number that is long enough. */
export function holdsCard(text: string): boolean {
  const step = CARD_DIGITS - 1
  for (let i = step; i < text.length; i += step) {
    if (!isCardPart(text.charCodeAt(i))) continue
    let digits = 0
    let start = i
    while (start > i - step && isCardPart(text.charCodeAt(start - 1))) start--
    // Goes on behind the run, so that a long one is read once.
    for (i = start; i < text.length && isCardPart(text.charCodeAt(i)); i++) if (isDigit(text.charCodeAt(i))) digits++
    if (digits >= CARD_DIGITS) return true
  }
  return false
}

function isCardPart(c: number): boolean {
  return isDigit(c) || c === 0x20 || c === 0x2d
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39
}

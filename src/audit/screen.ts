/**
 * A cheap look at a text before the patterns of mask.ts: false means that none of them can match. It may say yes to harmless
 * text, which costs time, and never no to a secret; test/audit/mask.test.ts holds it to that.
 *
 * One pass, few operations a character: characters are folded to 5 bits (which also folds the case of letters), three in
 * a row are an index, and a mark of four is two overlapping triples. Text as it stands in JSON serves as well as bare text:
 * no mark and no sign holds a character that JSON escapes.
 */

/**
 * Something of three or four characters that every match of a pattern contains, for each pattern and each of its forms. Some
 * patterns also need a sign that is rarer than their words: "the token of the meeting" is no credential.
 */
const MARKS = {
  // JWT; AWS; GitHub; GitLab; Slack; keys that begin with sk-, sk_, rk_ or pk_; Google; npm; a Slack webhook; a key block;
  // credentials with their scheme
  alone: [
    ...['eyj', 'akia', 'asia', 'aroa', 'aida', 'ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'b_pa', 'glpa', 'xox'],
    ...['sk-', 'sk_', 'rk_', 'pk_', 'aiza', 'npm_', 'ks.s', '----', 'bear', 'basi'],
  ],
  // credentials in a URL
  withAt: ['://'],
  // credentials behind their name
  withAssignment: ['assw', 'pwd', 'ecre', 'apik', 'pi_k', 'pi-k', 'toke'],
}

// What was seen of a text, as bits: marks that are whole, and signs. A mark counts with the sign of its own bit, or alone.
const ALONE = 1
const AT = 8
const ASSIGNMENT = 16
// Of a mark of four, its two triples, by how far its bit is shifted.
const BEGINS = 1
const ENDS = 2
/** Of a folded character. */
export const LETTER_BITS = 5
/** Marks by three folded characters; a power of two long. */
export const TRIPLES = new Uint8Array(1 << (3 * LETTER_BITS))
addMarks(MARKS.alone, ALONE)
addMarks(MARKS.withAt, AT)
addMarks(MARKS.withAssignment, ASSIGNMENT)

/** By ASCII character: the sign that it is, or that JSON escapes it. */
export const SIGNS = new Uint8Array(128)
const ESCAPED = 2
SIGNS.fill(ESCAPED, 0, 0x20)
SIGNS['"'.charCodeAt(0)] = ESCAPED
SIGNS['\\'.charCodeAt(0)] = ESCAPED
SIGNS['@'.charCodeAt(0)] = AT
SIGNS['='.charCodeAt(0)] = ASSIGNMENT
SIGNS[':'.charCodeAt(0)] = ASSIGNMENT

/** A UTF-16 unit's bits. Others than ASCII set bits above those of all signs, and maybe a sign that is not there. */
export function signsOf(unit: number): number {
  return SIGNS[unit & 127]! | ((unit >> 7) << 5)
}

/** Whether characters with these bits need escapes in JSON, or are not ASCII. */
export function isOdd(signs: number): boolean {
  return (signs & ~(AT | ASSIGNMENT)) !== 0
}

/** The marks that end here, by the entries of {@link TRIPLES} for this character and the one before it. */
export function marksEnding(marks: number, before: number): number {
  return (marks & (ALONE | AT | ASSIGNMENT)) | ((marks >> ENDS) & (before >> BEGINS) & (ALONE | ASSIGNMENT))
}

/** Whether what was seen of a text, all marks and all signs, may be a secret. */
export function isSuspicious(found: number, signs: number): boolean {
  return (found & (signs | ALONE)) !== 0
}

function addMarks(marks: readonly string[], bit: number): void {
  for (const mark of marks) {
    if (mark.length === 3) TRIPLES[tripleOf(mark, 0)]! |= bit
    else {
      TRIPLES[tripleOf(mark, 0)]! |= bit << BEGINS
      TRIPLES[tripleOf(mark, 1)]! |= bit << ENDS
    }
  }
}

function tripleOf(text: string, at: number): number {
  return ((text.charCodeAt(at) & 31) << 10) | ((text.charCodeAt(at + 1) & 31) << 5) | (text.charCodeAt(at + 2) & 31)
}

/** False when no secret, and no number as long as that of a card, is in the text. */
export function mayHoldSecret(text: string): boolean {
  let triple = 0
  let before = 0
  let found = 0
  let signs = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    signs |= signsOf(unit)
    triple = ((triple << LETTER_BITS) | (unit & 31)) & (TRIPLES.length - 1)
    const marks = TRIPLES[triple]!
    found |= marksEnding(marks, before)
    before = marks
  }
  return isSuspicious(found, signs) || holdsCard(text)
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

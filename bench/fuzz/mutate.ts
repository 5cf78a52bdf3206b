import type { Random } from '../demo/random.js'

/** Characters and runs of them that readers of texts disagree about, or that open something. */
const PIECES: readonly string[] = [
  ...' \t\n\r\f\v\\\'"`$(){}[];|&<>#%@:/.,*?!=-+_~^0aAzZ',
  ...'\u0000\u001b\u007f\u0085\u00a0\u00ad\u200b\u200d\u202e\u2028\u2060\ufeff\ufe0f\u0130\u0131\u017f\u00df\u212a',
  ...'\uff0e\uff0f\uff3c\u2024\u2215\u3002\ud800\udc00\u{1f600}é',
  ...[
    '..',
    '../',
    '..\\',
    '%2e',
    '%2f',
    '%5c',
    '%00',
    '%25',
    '%c0%af',
    '%u002e',
    '//',
    '\\\\',
    '/*',
    '*/',
    '--',
    '-- ',
    '/*!',
  ],
  ...[
    '$(',
    '${',
    '$((',
    '<<',
    '<<<',
    '<(',
    '&&',
    '||',
    ';;',
    '$$',
    "E'",
    "U&'",
    '::',
    '0x',
    '0177',
    '1e400',
    '9007199254740993',
  ],
  ...[
    '://',
    '@',
    'xn--',
    '[::1]',
    '\\u0041',
    '\\ud800',
    '"__proto__"',
    'null',
    'not ',
    'any x in ',
    'when ',
    'rule R {',
    '}',
    'policy p\n',
  ],
]

/** The text with up to `edits` cuts, insertions, repetitions and swaps. */
export function mutate(random: Random, text: string, edits = 6): string {
  let result = text
  for (let i = random.int(0, edits); i > 0; i--) result = edit(random, result)
  return result
}

function edit(random: Random, text: string): string {
  const at = random.int(0, text.length)
  const end = Math.min(text.length, at + random.int(0, 12))
  const before = text.slice(0, at)
  switch (random.int(0, 5)) {
    case 0:
      return before + text.slice(end)
    case 1:
      return before + text.slice(at, end).repeat(random.int(2, 40)) + text.slice(end)
    case 2:
      return before + text.slice(at, end).toUpperCase() + text.slice(end)
    case 3:
      return before + [...text.slice(at, end)].reverse().join('') + text.slice(end)
    default:
      return before + random.pick(PIECES).repeat(random.int(1, 3)) + text.slice(at)
  }
}

/** A text of any characters, most of them such as {@link mutate} puts in. */
export function anyText(random: Random, maxPieces = 40): string {
  let text = ''
  for (let i = random.int(0, maxPieces); i > 0; i--) {
    text += random.int(0, 3) === 0 ? String.fromCharCode(random.int(0, 0xffff)) : random.pick(PIECES)
  }
  return text
}

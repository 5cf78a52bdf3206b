import moo from 'moo'

/**
 * The one lexer of the language. What it settles, so that the grammar need not:
 * - A word may hold inner hyphens (`support-manager`), so a subtraction has spaces around its minus; a word that touches
 *   a `*` is a glob (`send_*`), so a multiplication has spaces, too.
 * - `/…/` is a regular expression after `matches` and nowhere else; control ids (`soc2:CC6.1`) are words inside `tags […]`
 *   and nowhere else. These two are lexer states, which any other token leaves.
 * - Whatever fits nothing is a token, too (`unknown`, `bad_string`, `bad_number`): {@link faultOf} says what is wrong with it.
 */

/** Words that are never names of lists, variables, roles or tools. After a dot, as map keys and in brackets every word may stand. */
export const RESERVED_WORDS = [
  'and',
  'or',
  'not',
  'in',
  'contains',
  'intersects',
  'subset',
  'starts',
  'ends',
  'like',
  'matches',
  'under',
  'exists',
  'any',
  'all',
  'true',
  'false',
  'null',
  'tag',
] as const

const WORD = /[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*/
/** Has a star, and a letter, dot or underscore beside it; a star alone is the operator. */
const GLOB = /(?:[A-Za-z_][A-Za-z0-9_.-]*\*|\*(?=[A-Za-z_.*-]))[A-Za-z0-9_.*-]*/
const TAG_WORD = /[A-Za-z_][A-Za-z0-9_]*(?:[.:-]+[A-Za-z0-9_]+)*/
const STRING = /"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/

const PUNCTUATION = [
  '..',
  '==',
  '!=',
  '<=',
  '>=',
  '<',
  '>',
  '=',
  '+',
  '-',
  '*',
  '/',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  ',',
  ':',
  '.',
  '?',
]

const blanks: moo.Rules = {
  space: /[ \t]+/,
  newline: { match: /\r?\n|\r/, lineBreaks: true },
  comment: /#[^\r\n]*/,
}

const tokens: moo.Rules = {
  string: STRING,
  bad_string: /"(?:\\[^\r\n]|[^"\\\r\n])*"?/,
  timestamp: /\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?(?![A-Za-z0-9_])/,
  cidr: [
    /(?:[0-9a-fA-F]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{1,4}|(?<=::))(?:\/\d{1,3})?(?![A-Za-z0-9_])/,
    /\d{1,3}(?:\.\d{1,3}){3}(?:\/\d{1,3})?(?![A-Za-z0-9_.])/,
  ],
  time: /\d{1,2}:\d{2}(?![A-Za-z0-9_:])/,
  duration: /(?:\d+(?:ms|s|m|h|d|w))+(?![A-Za-z0-9_])/,
  number: /\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![A-Za-z0-9_])/,
  bad_number: /\d[A-Za-z0-9_]*/,
  glob: GLOB,
  matches: { match: /(?<!\.)matches(?![A-Za-z0-9_-])/, type: () => 'keyword', next: 'pattern' },
  tags_open: { match: /(?<!\.)tags(?=(?:[ \t\r\n]|#[^\r\n]*)*\[)/, type: () => 'word', next: 'tags' },
  word: { match: WORD, type: moo.keywords({ keyword: [...RESERVED_WORDS] }) },
  punctuation: PUNCTUATION,
  unknown: /[^\n]/,
}

/** The ordinary tokens, each of which also ends a special state. */
const backToMain = Object.fromEntries(
  Object.entries(tokens).map(([type, rule]) => {
    const options = isRuleObject(rule) ? rule : { match: rule as RegExp | string[] }
    return [type, { next: 'main', ...options }]
  }),
) as moo.Rules

function isRuleObject(rule: moo.Rules[string]): rule is moo.Rule {
  return typeof rule === 'object' && 'match' in rule
}

const states = {
  main: { ...blanks, ...tokens },
  pattern: {
    ...blanks,
    regex: { match: /\/(?:[^/\\\r\n]|\\[^\r\n])+\/[A-Za-z]*/, next: 'main' },
    ...backToMain,
  },
  tags: {
    ...blanks,
    string: STRING,
    open_tags: { match: '[', type: () => 'punctuation' },
    comma: { match: ',', type: () => 'punctuation' },
    tag_word: TAG_WORD,
    ...Object.fromEntries(Object.entries(backToMain).filter(([type]) => type !== 'string')),
  },
}

/** Shared by every parse of this thread; {@link tokenize} resets it. The generated grammar asks it which token types exist. */
export const lexer = moo.states(states, 'main')

export type Blank = 'space' | 'newline' | 'comment'

export interface Token {
  readonly type: string
  readonly text: string
  /** UTF-16 offset of the first character in the text that was tokenised. */
  readonly offset: number
}

export interface Tokens {
  /** What the grammar sees. */
  readonly significant: readonly Token[]
  /** For the printer, in the order of the text. */
  readonly comments: readonly Token[]
}

/** Never throws: what is no token of the language comes as one of type `unknown`, `bad_string` or `bad_number`. */
export function tokenize(text: string): Tokens {
  lexer.reset(text)
  const significant: Token[] = []
  const comments: Token[] = []
  for (let token = lexer.next(); token !== undefined; token = lexer.next()) {
    const type = token.type as string
    if (type === 'space' || type === 'newline') continue
    const kept: Token = { type, text: token.text, offset: token.offset }
    if (type === 'comment') comments.push(kept)
    else significant.push(kept)
  }
  return { significant, comments }
}

const RESERVED: ReadonlySet<string> = new Set(RESERVED_WORDS)
const whole = (pattern: RegExp): RegExp => new RegExp(`^(?:${pattern.source})$`)
const WHOLE_WORD = whole(WORD)
const WHOLE_GLOB = whole(GLOB)
const WHOLE_TAG = whole(TAG_WORD)

export const isReserved = (text: string): boolean => RESERVED.has(text)
/** True for a text that can be written as a name, without quotes. */
export const isWord = (text: string): boolean => WHOLE_WORD.test(text) && !RESERVED.has(text)
/** True for a glob that can be written without quotes. */
export const isGlobWord = (text: string): boolean => WHOLE_GLOB.test(text)
/** True for a tag that can be written without quotes. */
export const isTagWord = (text: string): boolean => WHOLE_TAG.test(text)

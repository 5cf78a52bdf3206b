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

/** Signs that begin nothing longer, so that moo finds them without its regular expression. */
const SINGLE_SIGNS = ['(', ')', '[', ']', '{', '}', ',']
const OTHER_SIGNS = ['..', '==', '!=', '<=', '>=', '<', '>', '=', '+', '-', '*', '/', ':', '.', '?']
const punctuation = (): string => 'punctuation'

const WORD_TYPE = moo.keywords({ keyword: [...RESERVED_WORDS] })
/**
 * Most words: those that nothing but `word` could take. Not `matches` and `tags`, which may open a state; no more letters
 * after it; no `:`, for an address may begin so; no `*` after it, nor after the dots and names that follow, for a glob may.
 */
const PLAIN_WORD = new RegExp(
  `(?!(?:matches|tags)(?![A-Za-z0-9_-]))(?:${WORD.source})(?![A-Za-z0-9_:*]|-[A-Za-z0-9_]|[.-][A-Za-z0-9_.-]*\\*)`,
)

// The tables and the states below are in order of precedence: what moo finds by its first character, then what is frequent.
const singleBlanks: moo.Rules = { blank: ' ', line: { match: '\n', lineBreaks: true } }
const blanks: moo.Rules = {
  space: /[ \t]+/,
  newline: { match: /\r?\n|\r/, lineBreaks: true },
  comment: /#[^\r\n]*/,
}
const plainWord: moo.Rule = { match: PLAIN_WORD, type: (text) => WORD_TYPE(text) ?? 'word' }
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
  word: { match: WORD, type: WORD_TYPE },
  sign: { match: OTHER_SIGNS, type: punctuation },
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
  main: {
    ...singleBlanks,
    single_sign: { match: SINGLE_SIGNS, type: punctuation },
    plain_word: plainWord,
    ...blanks,
    ...tokens,
  },
  pattern: {
    ...singleBlanks,
    single_sign: { match: SINGLE_SIGNS, type: punctuation, next: 'main' },
    ...blanks,
    regex: { match: /\/(?:[^/\\\r\n]|\\[^\r\n])+\/[A-Za-z]*/, next: 'main' },
    plain_word: { ...plainWord, next: 'main' },
    ...backToMain,
  },
  tags: {
    ...singleBlanks,
    open_tags: { match: '[', type: punctuation },
    comma: { match: ',', type: punctuation },
    single_sign: {
      match: SINGLE_SIGNS.filter((sign) => sign !== '[' && sign !== ','),
      type: punctuation,
      next: 'main',
    },
    ...blanks,
    string: STRING,
    tag_word: TAG_WORD,
    ...Object.fromEntries(Object.entries(backToMain).filter(([type]) => type !== 'string')),
  },
}

/** Shared by every parse of this thread; {@link tokenize} resets it. The generated grammar asks it which token types exist. */
export const lexer = moo.states(states, 'main')

const BLANKS: ReadonlySet<string> = new Set(['blank', 'line', 'space', 'newline'])

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
    if (BLANKS.has(type)) continue
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

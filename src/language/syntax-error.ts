import type { Token } from './lexer.js'
import { oneOf, suggest } from './suggest.js'

/** A terminal of the grammar: a word as written, or any token of a type. */
export type Terminal = { readonly literal: string } | { readonly type: string }

const TYPE_NAMES: Readonly<Record<string, string>> = {
  word: 'a name',
  keyword: 'a name',
  string: 'a text in double quotes',
  number: 'a number',
  duration: 'a duration such as `5m`',
  timestamp: 'a date such as `2026-01-05`',
  time: 'a time of day such as `09:00`',
  cidr: 'an address range such as `10.0.0.0/8`',
  glob: 'a glob such as `db.*`',
  regex: 'a regular expression such as `/^inv-[0-9]+$/`',
  tag_word: 'a tag such as `soc2:CC6.1`',
}

/** Sets that are told by one name: when `sign` is among the expected, all of `members` are. */
const GROUPS: readonly { readonly name: string; readonly sign: string; readonly members: ReadonlySet<string> }[] = [
  {
    name: 'a value',
    sign: 'type:cidr',
    members: new Set(
      ['word', 'string', 'number', 'duration', 'timestamp', 'cidr']
        .map((type) => `type:${type}`)
        .concat(['true', 'false', 'null', 'exists', 'not', 'any', 'all', 'list', '(', '[', '{', '-']),
    ),
  },
  {
    name: 'an operator',
    sign: '*',
    members: new Set(
      '== != < <= > >= in not contains intersects subset starts ends like under matches + - * / . [ and or'.split(' '),
    ),
  },
  {
    name: 'another clause',
    sign: 'unless',
    members: new Set('on when unless allow deny require severity tags mode active unknown'.split(' ')),
  },
  { name: 'a day from `mon` to `sun`', sign: 'mon', members: new Set('mon tue wed thu fri sat sun'.split(' ')) },
]

const MAX_LISTED = 5

/** What people write when they come from other languages. */
const HABITS: Readonly<Record<string, string>> = {
  '=': 'a comparison is written `==`',
  if: 'a condition begins with `when` or `unless`',
  where: 'a condition begins with `when` or `unless`',
  else: 'a rule has one effect; write a second rule for the other case',
  environment: 'write `env`',
  user: 'the user on whose behalf an agent acts is the `principal`',
  approve: 'write `require approval from ROLE`',
  require_approval: 'write `require approval from ROLE`',
  block: 'write `deny`',
  permit: 'write `allow`',
  is: 'a comparison is written `==`',
  has: 'write `contains`, or `exists` to ask whether a value is there',
  within: 'an address is `in` a range, a path is `under` a folder',
}

/** One sentence about a token that cannot stand where it does, and a way out where one is plain. */
export function explainUnexpected(
  token: Token,
  expected: readonly Terminal[],
): { readonly message: string; readonly hint?: string } {
  const listed = describeExpected(expected)
  const message = `\`${shorten(token.text)}\` cannot stand here${listed === '' ? '' : `; expected ${listed}`}`
  const hint = hintFor(token, expected)
  return hint === undefined ? { message } : { message, hint }
}

export function describeExpected(expected: readonly Terminal[]): string {
  const left = new Set(expected.map((terminal) => ('literal' in terminal ? terminal.literal : `type:${terminal.type}`)))
  const names: string[] = []
  for (const group of GROUPS) {
    if (!left.has(group.sign)) continue
    names.push(group.name)
    for (const member of group.members) left.delete(member)
  }
  const words: string[] = []
  for (const symbol of left) {
    if (symbol.startsWith('type:')) names.push(TYPE_NAMES[symbol.slice(5)] ?? symbol.slice(5))
    else words.push(`\`${symbol}\``)
  }
  const all = [...new Set([...words.sort(), ...names])]
  return all.length > MAX_LISTED ? `${all.slice(0, MAX_LISTED).join(', ')} or the like` : oneOf(all)
}

function hintFor(token: Token, expected: readonly Terminal[]): string | undefined {
  if (token.type === 'glob') {
    return 'a `*` that touches a word makes a glob, for scopes only; put spaces around it to multiply, and quote a glob after `like`'
  }
  const words = expected.flatMap((terminal) => ('literal' in terminal ? [terminal.literal] : []))
  const isWord = token.type === 'word' || token.type === 'keyword'
  const meant = isWord
    ? suggest(
        token.text,
        words.filter((word) => /^[a-z]/.test(word)),
      )
    : null
  if (meant !== null) return `did you mean \`${meant}\`?`
  if (Object.hasOwn(HABITS, token.text)) return HABITS[token.text]
  const wantsName = expected.some((terminal) => 'type' in terminal && terminal.type === 'word')
  if (token.type === 'keyword' && wantsName) return `\`${token.text}\` is a word of the language; choose another name`
  return undefined
}

function shorten(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}

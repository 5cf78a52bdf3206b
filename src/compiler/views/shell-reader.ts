import type { ShellFacts } from './shell-facts.js'

/** Thrown inside the reader for all that it does not accept; `parseShell` turns it into an unknown view. */
export class Unreadable extends Error {}

/** A word after quote removal. */
export interface Word {
  readonly text: string
  /** False where an expansion, a substitution or braces decide what the word, or how many words, there will be. */
  readonly isLiteral: boolean
  /** Holds unquoted `*`, `?` or `[`. */
  readonly isGlob: boolean
  readonly isQuoted: boolean
  /** The name before an unquoted `=`, where the word would assign at the start of a command. */
  readonly assigns: string | undefined
}

/** Nesting of compound commands, substitutions and strings that are code. */
const MAX_DEPTH = 24

const BLANK = /[ \t]/
const META = /[ \t\n|&;()<>]/
const REDIRECTION = /([0-9]*)(&>>|&>|<<<|<<-|<<|<>|<&|>>|>&|>\||<(?!\()|>(?!\())/y
const SUBSCRIPT = /[A-Za-z_][A-Za-z0-9_]*\[/y
const KEYWORD = /(?:[a-z]+|[{}!]|\[\[)(?=[ \t\n|&;()<>]|$)/y
/** Words that only mean something where the reader asks for them, and constructs that it does not read. */
const MISPLACED = new Set(['then', 'elif', 'else', 'fi', 'do', 'done', 'esac', '}', 'in'])
const UNREAD = new Set(['case', 'select', 'coproc', 'function', '[['])
const RESERVED = new Set([...MISPLACED, ...UNREAD, '{', '!', 'if', 'while', 'until', 'for', 'time'])

interface Heredoc {
  readonly delimiter: string
  readonly isQuoted: boolean
  readonly stripsTabs: boolean
}

/** Recursive descent over the characters; each is read once, depth is bounded. Finds go to {@link ShellFacts}. */
export class ShellReader {
  readonly #text: string
  readonly #facts: ShellFacts
  #depth: number
  #at = 0
  #heredocs: Heredoc[] = []

  /** @param depth of strings that are code within which this text stands */
  constructor(text: string, facts: ShellFacts, depth: number) {
    this.#text = text
    this.#facts = facts
    this.#depth = depth
  }

  readAll(): void {
    this.#nested(() => this.#list([]))
    if (this.#heredocs.length > 0) throw new Unreadable()
  }

  // -------------------------------------------------------------- commands

  /** Commands up to one of the closing words (or `)`), which is consumed; up to the end of the text when there are none. */
  #list(closers: readonly string[]): string {
    for (;;) {
      this.#skipBlankLines()
      if (this.#isAtEnd()) {
        if (closers.length > 0) throw new Unreadable()
        return ''
      }
      if (this.#peek() === ')' && closers.includes(')')) {
        this.#at++
        if (this.#heredocs.length > 0) throw new Unreadable()
        return ')'
      }
      const keyword = this.#peekKeyword()
      if (closers.includes(keyword)) {
        this.#at += keyword.length
        return keyword
      }
      if (MISPLACED.has(keyword)) throw new Unreadable()
      this.#andOr()
      this.#separator()
    }
  }

  #separator(): void {
    this.#skipBlanks()
    const c = this.#peek()
    if (c === '' || c === '\n' || c === ')') return
    if (c === '&') this.#facts.background = true
    else if (c !== ';') throw new Unreadable()
    this.#at++
    if (this.#peek() === ';' || this.#peek() === '&') throw new Unreadable()
  }

  #andOr(): void {
    this.#pipeline()
    for (;;) {
      this.#skipBlanks()
      if (!this.#take('&&') && !this.#take('||')) return
      this.#skipBlankLines()
      this.#pipeline()
    }
  }

  #pipeline(): void {
    this.#command()
    for (;;) {
      this.#skipBlanks()
      if (this.#peek() !== '|' || this.#peekAt(1) === '|') return
      this.#at += this.#peekAt(1) === '&' ? 2 : 1
      this.#facts.pipes = true
      this.#skipBlankLines()
      this.#command()
    }
  }

  #command(): void {
    this.#skipBlanks()
    const keyword = this.#peekKeyword()
    if (MISPLACED.has(keyword) || UNREAD.has(keyword)) throw new Unreadable()
    if (keyword === '!' || keyword === 'time') {
      this.#prefixed(keyword)
      return
    }
    const compound = this.#compound(keyword)
    if (compound === undefined) this.#simple()
    else this.#nested(compound)
  }

  #prefixed(keyword: string): void {
    this.#at += keyword.length
    if (keyword === 'time') {
      this.#facts.program('time')
      this.#skipBlanks()
      if (/^-p[ \t]/.test(this.#text.slice(this.#at, this.#at + 3))) this.#at += 2
      this.#skipBlanks()
      if (this.#peek() === '-') throw new Unreadable()
    }
    this.#skipBlanks()
    if (this.#isAtEnd() || /[\n;&|)]/.test(this.#peek())) throw new Unreadable()
    this.#nested(() => this.#command())
  }

  #compound(keyword: string): (() => void) | undefined {
    switch (keyword) {
      case '{':
        return () => this.#block(keyword, ['}'])
      case 'if':
        return () => this.#if()
      case 'while':
      case 'until':
        return () => this.#block(keyword, ['do'], ['done'])
      case 'for':
        return () => this.#for()
      default:
        if (this.#peek() !== '(') return undefined
        if (this.#peekAt(1) === '(') throw new Unreadable()
        return () => this.#block('(', [')'])
    }
  }

  #block(opener: string, ...closers: (readonly string[])[]): void {
    this.#at += opener.length
    for (const closer of closers) this.#list(closer)
    this.#redirections()
  }

  #if(): void {
    this.#at += 'if'.length
    this.#list(['then'])
    for (let closer = ''; closer !== 'fi'; ) {
      closer = this.#list(['elif', 'else', 'fi'])
      if (closer === 'elif') this.#list(['then'])
      else if (closer === 'else') closer = this.#list(['fi'])
    }
    this.#redirections()
  }

  #for(): void {
    this.#at += 'for'.length
    this.#skipBlanks()
    const name = this.#readName()
    this.#skipBlankLines()
    if (this.#peekKeyword() === 'in') {
      this.#at += 'in'.length
      this.#facts.words([name, ...this.#wordsUntilMeta()])
    } else this.#facts.words([name])
    this.#skipBlanks()
    if (this.#peek() === ';') this.#at++
    this.#skipBlankLines()
    if (this.#peekKeyword() !== 'do') throw new Unreadable()
    this.#at += 'do'.length
    this.#list(['done'])
    this.#redirections()
  }

  #readName(): Word {
    const name = this.#word()
    if (!name.isLiteral || name.isQuoted || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name.text)) throw new Unreadable()
    return name
  }

  #wordsUntilMeta(): Word[] {
    const words: Word[] = []
    for (;;) {
      this.#skipBlanks()
      if (this.#isAtEnd() || (META.test(this.#peek()) && !this.#isProcessSubstitution())) return words
      words.push(this.#word())
    }
  }

  #simple(): void {
    const start = this.#at
    const words: Word[] = []
    for (;;) {
      this.#skipBlanks()
      if (this.#redirection()) continue
      if (this.#isAtEnd() || (META.test(this.#peek()) && !this.#isProcessSubstitution())) break
      // At the start of a command bash reads `name[` as an array element, up to a `]` that may stand behind spaces.
      SUBSCRIPT.lastIndex = this.#at
      if (words.every((word) => word.assigns !== undefined) && SUBSCRIPT.test(this.#text)) throw new Unreadable()
      words.push(this.#word())
    }
    if (this.#at === start) throw new Unreadable()
    // A reserved word that only shows once a line is continued (`i\⏎f`) is reserved all the same.
    if (words[0] !== undefined && !words[0].isQuoted && RESERVED.has(words[0].text)) throw new Unreadable()
    if (this.#peek() === '(') this.#functionDefinition(words)
    else this.#facts.command(words, this.#depth)
  }

  #functionDefinition(words: readonly Word[]): void {
    const name = words[0]
    if (words.length !== 1 || name === undefined || name.isQuoted || !name.isLiteral) throw new Unreadable()
    this.#at++
    this.#skipBlanks()
    if (this.#peek() !== ')') throw new Unreadable()
    this.#at++
    this.#skipBlankLines()
    const body = this.#compound(this.#peekKeyword())
    if (body === undefined) throw new Unreadable()
    this.#nested(body)
  }

  // -------------------------------------------------------------- redirections

  #redirections(): void {
    do this.#skipBlanks()
    while (this.#redirection())
  }

  #redirection(): boolean {
    REDIRECTION.lastIndex = this.#at
    const match = REDIRECTION.exec(this.#text)
    if (match === null) return false
    const operator = match[2]!
    this.#at += match[0].length
    this.#skipBlanks()
    if (this.#isAtEnd() || (META.test(this.#peek()) && !this.#isProcessSubstitution())) throw new Unreadable()
    const target = this.#word()
    // `<2>f`: digits before a redirection are its descriptor, not a file.
    if (/^[0-9]+$/.test(target.text) && /[<>]/.test(this.#peek())) throw new Unreadable()
    if (operator === '<<' || operator === '<<-') this.#heredoc(target, operator === '<<-')
    else this.#facts.redirection(operator, target)
    return true
  }

  #heredoc(delimiter: Word, stripsTabs: boolean): void {
    if (!delimiter.isLiteral || delimiter.text === '') throw new Unreadable()
    this.#facts.redirects = true
    this.#heredocs.push({ delimiter: delimiter.text, isQuoted: delimiter.isQuoted, stripsTabs })
  }

  /** Reads the bodies that are due, at the start of a line. */
  #heredocBodies(): void {
    for (const heredoc of this.#heredocs.splice(0)) {
      for (;;) {
        if (this.#isAtEnd()) throw new Unreadable()
        const end = this.#text.indexOf('\n', this.#at)
        const line = this.#text.slice(this.#at, end < 0 ? undefined : end)
        this.#at += line.length + (end < 0 ? 0 : 1)
        if ((heredoc.stripsTabs ? line.replace(/^\t+/, '') : line) === heredoc.delimiter) break
        if (!heredoc.isQuoted) this.#heredocLine(line)
      }
    }
  }

  /** In a body that is expanded, only plain parameters are read: a backslash could even join the delimiter's line. */
  #heredocLine(line: string): void {
    if (/[`\\]|\$[({[]/.test(line)) throw new Unreadable()
    if (/\$[A-Za-z_0-9@*#?!$-]/.test(line)) this.#facts.variables = true
  }

  // -------------------------------------------------------------- words

  #word(): Word {
    const text = this.#text
    let value = ''
    let isLiteral = true
    let isGlob = false
    let isQuoted = false
    const start = this.#at
    while (this.#at < text.length) {
      const c = text[this.#at]!
      if (META.test(c) && !this.#isProcessSubstitution()) break
      switch (c) {
        case "'":
          value += this.#singleQuoted()
          isQuoted = true
          break
        case '"': {
          this.#at++
          const part = this.#doubleQuoted()
          value += part.text
          isLiteral &&= part.isLiteral
          isQuoted = true
          break
        }
        case '\\': {
          const next = this.#peekAt(1)
          if (next === '') throw new Unreadable()
          if (next === '\n') this.#continuation()
          else {
            value += next
            isQuoted = true
            this.#at += 2
          }
          break
        }
        case '$':
          if (this.#peekAt(1) === "'") {
            value += this.#ansiQuoted()
            isQuoted = true
          } else if (this.#peekAt(1) === '"') {
            throw new Unreadable()
          } else if (this.#dollar()) isLiteral = false
          else value += '$'
          break
        case '`':
          this.#backticks(false)
          isLiteral = false
          break
        case '<':
        case '>':
          this.#processSubstitution()
          isLiteral = false
          break
        default:
          if (c === '*' || c === '?' || (c === ']' && value.includes('['))) isGlob = true
          value += c
          this.#at++
      }
    }
    const written = text.slice(start, this.#at)
    // `{fd}>file` opens a descriptor; `{a,b}` and `{1..3}` become several words in bash and stay one in sh.
    if (/^\{[A-Za-z_][A-Za-z0-9_]*\}$/.test(written) && /[<>]/.test(this.#peek())) throw new Unreadable()
    if (mayBeBraceExpansion(written)) isLiteral = false
    if (/^[A-Za-z_][A-Za-z0-9_]*\[[^=]*\]\+?=/.test(written)) throw new Unreadable()
    const assigns = /^([A-Za-z_][A-Za-z0-9_]*)\+?=/.exec(written)?.[1]
    return { text: value, isLiteral, isGlob, isQuoted, assigns }
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1)
    if (end < 0) throw new Unreadable()
    const value = this.#text.slice(this.#at + 1, end)
    this.#at = end + 1
    return value
  }

  /** After the opening quote, to the closing one. */
  #doubleQuoted(): { text: string; isLiteral: boolean } {
    let value = ''
    let isLiteral = true
    for (;;) {
      const c = this.#peek()
      if (c === '') throw new Unreadable()
      if (c === '"') {
        this.#at++
        return { text: value, isLiteral }
      }
      if (c === '\\') {
        const next = this.#peekAt(1)
        if (next === '') throw new Unreadable()
        if (next === '\n') this.#continuation()
        else {
          value += '$`"\\'.includes(next) ? next : c + next
          this.#at += 2
        }
      } else if (c === '$') {
        if (this.#dollar()) isLiteral = false
        else value += '$'
      } else if (c === '`') {
        this.#backticks(true)
        isLiteral = false
      } else {
        value += c
        this.#at++
      }
    }
  }

  /** `$'…'` with the escapes of ANSI C; those that end the string early or need a terminal are refused. */
  #ansiQuoted(): string {
    const match = /\$'((?:[^'\\]|\\[\s\S])*)'/y
    match.lastIndex = this.#at
    const found = match.exec(this.#text)
    if (found === null) throw new Unreadable()
    this.#at += found[0].length
    return found[1]!.replace(
      /\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|[\s\S])/g,
      (_, sequence: string) => ansiEscape(sequence),
    )
  }

  /** At a `$`. False where it stands for itself; then only the `$` is consumed. */
  #dollar(): boolean {
    const next = this.#peekAt(1)
    if (next === '(') {
      this.#at += 2
      if (this.#peek() === '(') this.#arithmetic()
      else this.#substitution()
      return true
    }
    if (next === '{') {
      this.#parameter()
      return true
    }
    if (next === '[') throw new Unreadable()
    const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-])/.exec(this.#text.slice(this.#at + 1, this.#at + 257))
    if (name === null) {
      this.#at++
      return false
    }
    this.#at += 1 + name[0].length
    this.#facts.variables = true
    return true
  }

  /**
   * `${name}` and simple operators. Refused: operands with expansions or quotes, `=`, which assigns, and what evaluates a
   * variable as code (`@P`, offsets by name).
   */
  #parameter(): void {
    PARAMETER.lastIndex = this.#at
    const found = PARAMETER.exec(this.#text)
    if (found === null) throw new Unreadable()
    this.#at += found[0].length
    this.#facts.variables = true
  }

  /** After `$(`, at the second parenthesis. Variables are evaluated as code (`a[$(rm)]`), so only numbers are read. */
  #arithmetic(): void {
    const match = /\([0-9\s+*/%<>=!&|^~?:,()-]*\)\)/y
    match.lastIndex = this.#at
    const found = match.exec(this.#text)
    if (found === null || !isBalanced(found[0].slice(0, -1))) throw new Unreadable()
    this.#at += found[0].length
    this.#facts.substitutions = true
  }

  #backticks(isInDoubleQuotes: boolean): void {
    let code = ''
    for (this.#at++; ; this.#at++) {
      const c = this.#peek()
      if (c === '') throw new Unreadable()
      if (c === '`') break
      const next = this.#peekAt(1)
      if (c === '\\' && (next === '\\' || next === '$' || next === '`' || (next === '"' && isInDoubleQuotes))) {
        code += next
        this.#at++
      } else code += c
    }
    this.#at++
    this.#facts.substitutions = true
    this.#facts.code(code, this.#depth)
  }

  #isProcessSubstitution(): boolean {
    return /[<>]/.test(this.#peek()) && this.#peekAt(1) === '('
  }

  #processSubstitution(): void {
    this.#at += 2
    this.#substitution()
  }

  /** After the opening parenthesis. */
  #substitution(): void {
    // Whether a here-document that is due starts within the substitution or after it, shells do not agree.
    if (this.#heredocs.length > 0) throw new Unreadable()
    this.#facts.substitutions = true
    this.#nested(() => this.#list([')']))
  }

  // -------------------------------------------------------------- characters

  #nested(read: () => void): void {
    if (++this.#depth > MAX_DEPTH) throw new Unreadable()
    read()
    this.#depth--
  }

  #peek(): string {
    return this.#text.charAt(this.#at)
  }

  #peekAt(offset: number): string {
    return this.#text.charAt(this.#at + offset)
  }

  #isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  /** The word at the cursor where it is written plainly and could be reserved, else empty. */
  #peekKeyword(): string {
    KEYWORD.lastIndex = this.#at
    return KEYWORD.exec(this.#text)?.[0] ?? ''
  }

  #skipBlanks(): void {
    for (;;) {
      if (BLANK.test(this.#peek())) this.#at++
      else if (this.#text.startsWith('\\\n', this.#at)) this.#continuation()
      else if (this.#peek() === '#' && this.#isAtWordStart()) this.#skipComment()
      else return
    }
  }

  /**
   * A continued line, at the backslash. Between plain characters only: shells join the lines before they look for operators
   * and expansions (`$\⏎(rm)`, `&\⏎&`), this reader would not.
   */
  #continuation(): void {
    const before = this.#text.charAt(this.#at - 1)
    const after = this.#peekAt(2)
    if (!/^[\w./:=, \t-]?$/.test(before) || !/^[\w./:=, \t-]?$/.test(after)) throw new Unreadable()
    this.#at += 2
  }

  #isAtWordStart(): boolean {
    return this.#at === 0 || META.test(this.#text.charAt(this.#at - 1))
  }

  #skipComment(): void {
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end < 0 ? this.#text.length : end
  }

  #skipBlankLines(): void {
    for (;;) {
      this.#skipBlanks()
      if (this.#peek() !== '\n') return
      this.#at++
      this.#heredocBodies()
    }
  }
}

const PARAMETER =
  /\$\{(?:[#!]?[A-Za-z_][A-Za-z0-9_]*|#?[0-9]+|#?[@*#?!$-])(?::?[-+?][^{}$`"'\\<>()[\]\n]*|:[0-9: ]+|(?:##?|%%?|\/\/?|\^\^?|,,?)[^{}$`"'\\<>()[\]\n]*|@[QEUuLAaKk])?\}/y

/** `{`, then a comma or two dots, then `}`, quoted or not. */
function mayBeBraceExpansion(written: string): boolean {
  const open = written.indexOf('{')
  const close = written.lastIndexOf('}')
  if (open < 0 || close < open) return false
  const inside = written.slice(open, close)
  return inside.includes(',') || inside.includes('..')
}

function isBalanced(text: string): boolean {
  let open = 0
  for (const c of text) {
    if (c === '(') open++
    if (c === ')' && --open < 0) return false
  }
  return open === 0
}

const ANSI: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  e: '\u001b',
  E: '\u001b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '?': '?',
}

function ansiEscape(sequence: string): string {
  const kind = sequence[0]!
  const digits =
    kind === 'x' || kind === 'u' || kind === 'U' ? sequence.slice(1) : /^[0-7]/.test(sequence) ? sequence : ''
  if (digits === '') {
    const character = ANSI[sequence]
    if (character === undefined) throw new Unreadable()
    return character
  }
  const code = Number.parseInt(digits, kind === 'x' || kind === 'u' || kind === 'U' ? 16 : 8)
  // NUL ends the word early; bytes over ASCII make UTF-8 only together, and surrogates are no characters.
  const isText = kind === 'u' || kind === 'U' ? code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) : code < 0x80
  if (code === 0 || !isText) throw new Unreadable()
  return String.fromCodePoint(code)
}

import { familyOf, innerCommand, isHiddenProgram } from './shell-programs.js'
import { ShellReader, Unreadable, type Word } from './shell-reader.js'
import type { ShellView } from './view-value.js'

/** Characters of code read in all, strings that are code counted each time they are read. */
const MAX_CODE = 64 * 1024
/** Programs that run each other in one command. */
const MAX_CHAIN = 16
/** Folders whose programs are known by their base name alone. */
const SYSTEM_FOLDER = /^\/(?:usr\/(?:local\/)?)?s?bin\/$/
/** Variables that change what a program name runs, or that programs run themselves. */
const STEERING_VARIABLE =
  /^(?:PATH|IFS|ENV|ZDOTDIR|FPATH|MODULE_PATH|GLIBC_TUNABLES|\w*MAKEFLAGS|MAKEFILES|MFLAGS|GO\w*FLAGS|GOENV|GOTOOLCHAIN|RUSTC\w*|RUSTFLAGS|CARGO_\w*|OPENSSL_\w*|KUBECONFIG|\w+_RSH|RSYNC_\w*|(?:npm_config|NPM_CONFIG|YARN|PIP|UV|LUA|JULIA|DOCKER|ANSIBLE|ERL|ELIXIR|GUILE|BUNDLE|GEM|SUDO|FZF|DOTNET|CORECLR|COMPlus|R)_\w+|AWK\w*|PHPRC|PHP_INI_SCAN_DIR|PSQLRC|GCC_EXEC_PREFIX|COMPILER_PATH|CLASSPATH|JDK_JAVA_OPTIONS|JAVA_OPTS|MAVEN_OPTS|GRADLE_OPTS|WGETRC|CURL_HOME|INPUTRC|TEXINPUTS|TCLLIBPATH|BASH_\w*|BASHOPTS|SHELLOPTS|SHELL|PS[0-4]|PROMPT_COMMAND|CDPATH|HOME|LD_\w*|DYLD_\w*|GCONV_PATH|LOCPATH|PYTHON\w*|PERL5?\w*|RUBY\w*|NODE_\w*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|GIT_\w*|\w*EDITOR|VISUAL|\w*PAGER|LESS\w*|BROWSER|MANPAGER|TAR_OPTIONS|\w*_ASKPASS|TERMINFO|XDG_(?:CONFIG|DATA)\w*)$/

/** What the reader finds in a command line. */
export class ShellFacts {
  background = false
  pipes = false
  redirects = false
  substitutions = false
  variables = false

  readonly #programs = new Set<string>()
  readonly #words = new Set<string>()
  readonly #writes = new Set<string>()
  readonly #reads = new Set<string>()
  #commands = 0
  #code = 0
  /** Something runs that the text does not show: all that is not found yet is unknown. */
  #isHidden = false
  #hasHiddenWords = false
  #hasHiddenWrites = false
  #hasHiddenReads = false

  /** @param depth of the strings that are code around `text` */
  code(text: string, depth: number): void {
    this.#code += text.length
    if (this.#code > MAX_CODE) throw new Unreadable()
    new ShellReader(text, this, depth + 1).readAll()
  }

  program(path: string): void {
    const slash = path.lastIndexOf('/') + 1
    this.#programs.add(path.slice(slash).toLowerCase())
    // `/tmp/ls` is no `ls`: a rule that allows `ls` must see both.
    if (slash > 0 && !SYSTEM_FOLDER.test(path.slice(0, slash))) this.#programs.add(path)
  }

  words(words: readonly Word[]): void {
    for (const word of words) {
      if (word.isLiteral) this.#words.add(word.text)
      else this.#hasHiddenWords = true
      const name = word.assigns ?? /^[A-Za-z_]\w*/.exec(word.text)?.[0]
      const mayAssign = word.assigns !== undefined || name === word.text || word.text.startsWith(`${name}=`)
      if (name !== undefined && mayAssign && STEERING_VARIABLE.test(name)) this.#isHidden = true
    }
  }

  /** A simple command, its redirections taken off. */
  command(words: readonly Word[], depth: number): void {
    this.words(words)
    const first = words.findIndex((word) => word.assigns === undefined)
    if (first < 0) return
    this.#commands++
    this.#run(words.slice(first), depth)
  }

  redirection(operator: string, target: Word): void {
    this.redirects = true
    if (operator === '<<<') {
      this.words([target])
      return
    }
    if ((operator === '>&' || operator === '<&') && target.isLiteral && /^(?:[0-9]+-?|-)$/.test(target.text)) return
    const isKnown = target.isLiteral && !target.isGlob
    if (operator.startsWith('<')) {
      if (isKnown) this.#reads.add(target.text)
      else this.#hasHiddenReads = true
    }
    if (operator !== '<' && operator !== '<&') {
      if (isKnown) this.#writes.add(target.text)
      else this.#hasHiddenWrites = true
    }
  }

  view(): ShellView | undefined {
    if (this.#commands === 0 && this.#words.size === 0 && !this.redirects && !this.#hasHiddenWords) return undefined
    const hidden = this.#isHidden
    const known = (claim: boolean): boolean | undefined => claim || (hidden ? undefined : false)
    return {
      programs: hidden ? undefined : [...this.#programs],
      words: hidden || this.#hasHiddenWords ? undefined : [...this.#words],
      multiple: known(this.#commands > 1),
      pipes: known(this.pipes),
      redirects: known(this.redirects),
      writes: hidden || this.#hasHiddenWrites ? undefined : [...this.#writes],
      reads: hidden || this.#hasHiddenReads ? undefined : [...this.#reads],
      substitutions: known(this.substitutions),
      variables: this.variables || hidden,
      background: known(this.background),
    }
  }

  /** Follows programs that run programs (`sudo env sh -c '…'`) to the last. */
  #run(words: readonly Word[], depth: number): void {
    let rest: readonly Word[] = words
    for (let chain = 0; ; chain++) {
      const [program, ...operands] = rest
      if (program === undefined) return
      if (chain > MAX_CHAIN) throw new Unreadable()
      // Behind a wrapper a word with a dash is an option that we took for the program.
      const isNoName = program.text === '' || program.text.startsWith('-') || program.text.includes('{}')
      if (!program.isLiteral || program.isGlob || isNoName) {
        this.#isHidden = true
        return
      }
      this.program(program.text)
      const family = familyOf(program.text.slice(program.text.lastIndexOf('/') + 1))
      if (isHiddenProgram(family)) {
        this.#isHidden = true
        return
      }
      const inner = innerCommand(family, operands)
      switch (inner.kind) {
        case 'none':
          return
        case 'hidden':
          this.#isHidden = true
          return
        case 'code':
          this.code(inner.text, depth)
          return
        case 'commands':
          for (const command of inner.commands) this.#run(command, depth)
          return
        case 'command':
          rest = inner.words
      }
    }
  }
}

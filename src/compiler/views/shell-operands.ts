import type { Word } from './shell-reader.js'

/**
 * Programs that run what their operands say: interpreters with code on the command line, options that name another program,
 * operands with a language of their own. The list is that of GTFOBins, cut to what needs no terminal. Uses that are known to
 * run nothing else stay known; for the rest, what runs is hidden.
 */

/** Options of an interpreter that say nothing of what it runs. Any other one hides it, and so does reading code from the input. */
interface Interpreter {
  /** Letters of options without a value. */
  readonly flags: string
  /** Letters of options with one, joined or as the next word. */
  readonly values: string
  /** Long options, `--name` or `--name=value`. */
  readonly long?: RegExp
}

const NO_OPTIONS: Interpreter = { flags: '', values: '' }

const INTERPRETERS: Readonly<Record<string, Interpreter>> = {
  python: { flags: 'bBdEIOPqsSuvx', values: 'WX' },
  pypy: { flags: 'bBdEIOPqsSuvx', values: 'WX' },
  perl: { flags: 'acnpstTuUwWXl', values: 'I' },
  ruby: { flags: 'acdlnpsSUvwWy', values: 'CEI' },
  node: {
    flags: 'c',
    values: '',
    long: /^--(?:no-warnings|trace-[a-z-]+|enable-source-maps|expose-gc|max-[a-z-]+=\d+)$/,
  },
  nodejs: { flags: 'c', values: '' },
  php: { flags: 'nlswC', values: '' },
  lua: { flags: 'EWv', values: '' },
  rscript: { flags: '', values: '', long: /^--(?:vanilla|verbose|no-[a-z-]+)$/ },
  ...Object.fromEntries(
    `luajit texlua tclsh wish jrunscript groovy scala kotlin julia elixir iex escript erl guile racket csi sbcl clisp ecl swipl
    gprolog octave gnuplot jshell ocaml utop ghc ghci runghc runhaskell irb pry ipython bpython ptpython ts-node tsx osascript
    coffee maxima gp sage janet hy raku perl6 pike rexx regina bpftrace stap node-red deno bun`
      .split(/\s+/)
      .map((name) => [name, NO_OPTIONS]),
  ),
}

/** Modules that run code from their operands or the input, with `python -m`. */
const CODE_MODULES: ReadonlySet<string> = new Set(
  'asyncio bdb bpdb cProfile code doctest idlelib ipdb IPython pdb profile pudb runpy sqlite3 timeit trace'.split(' '),
)

/** Operands by which a program runs another one, or code. Long options may be shortened as far as they stay unique. */
const RISKY_OPERANDS: Readonly<Record<string, RegExp>> = {
  tar: /^--(?:checkpoint-|to-c|us|inf|new-|rs|rm)|^-(?!-)[^-]*[IF]/,
  bsdtar: /^--(?:us|to-c)|^-(?!-)[^-]*[IF]/,
  cpio: /^--(?:rs|to-c)/,
  zip: /^-(?!-)[^-]*T|^--(?:te|un)/,
  rsync: /^-(?!-)[^-]*[eM]|^--(?:rs|rem|dae)/,
  scp: /^-(?!-)[^-]*[SoFJD]/,
  sftp: /^-(?!-)[^-]*[SoFJDb]/,
  'ssh-keygen': /^-(?!-)[^-]*[Dw]/,
  'ssh-add': /^-(?!-)[^-]*[sS]/,
  nmap: /^--(?:sc|interac|datad)/,
  tcpdump: /^-(?!-)[^-]*z|^--po/,
  nc: /^-(?!-)[^-]*[ec]|^--(?:ex|sh|lua)/,
  netcat: /^-(?!-)[^-]*[ec]|^--(?:ex|sh|lua)/,
  ncat: /^-(?!-)[^-]*[ec]|^--(?:ex|sh|lua)/,
  openssl: /^(?:engine|-{1,2}(?:engine|provider|config|loader).*)$/,
  wget: /^-(?!-)[^-]*e|^--(?:use-a|exe|conf)/,
  split: /^--f/,
  sort: /^--c(?:om|o$|$)/,
  install: /^--strip-/,
  apt: /^-(?!-)[^-]*[oc]|^--(?:opt|conf)/,
  'apt-get': /^-(?!-)[^-]*[oc]|^--(?:opt|conf)/,
  aptitude: /^-(?!-)[^-]*[oc]|^--(?:opt|conf)/,
  dpkg: /^--(?:pre|post|root|adm|inst|forc)/,
  rpm: /^-(?!-)[^-]*[ED]|^--(?:ev|pip|def|rcf|mac|load)/,
  gcc: /^(?:-wrapper|-fplugin|-B|-specs|-plugin|@)/,
  cc: /^(?:-wrapper|-fplugin|-B|-specs|-plugin|@)/,
  clang: /^(?:-fplugin|-B|-Xclang|-plugin|--config|@)/,
  go: /^-{1,2}(?:exec|toolexec|vettool|overlay)/,
  cargo: /^(?:--config|\+)/,
  make: /^--e|^-(?!-)[^-]*E|^-f?-?$|^(?!-)[^=]*=|^-?f?\/(?:dev|proc)\//,
  cmake: /^-[EPC]/,
  npm: /^(?:exec|x|dlx|create|init|innit|explore|edit|config|c|set)$|^--(?:sc|node-o|userc|globalc|cal)|^-c$/,
  pnpm: /^(?:exec|x|dlx|create|init|config|set)$|^--(?:sc|node-o|userc|shell)|^-c$/,
  yarn: /^(?:exec|dlx|create|init|config|set|node)$|^--(?:sc|use-y)/,
  bundle: /^(?:exec|e|console|open|config)$/,
  ip: /^(?:net|vr|-b)|^-(?!-)[^-]*b/,
  man: /^-(?!-)[^-]*[PHpXZTC]|^--(?:pag|ht|pre|gx|dit|tr|co)/,
  less: /^\+|^-(?!-)[^-]*[kTtop]|^--(?:le|lo|tag|pa|c)/,
  more: /^\+/,
  'redis-cli': /^(?:-x|-(?!-)[^-]*X|--(?:ev|pip)|eval|script|module|config|function|debug)/i,
  aria2c: /^--(?:on-|conf|inp)|^-(?!-)[^-]*i/,
  exiftool: /^-(?:if|config|execute|p$|api|stay|@)|[<;]|\$\{/i,
  sqlite: /^\s*\.|\n\s*\.|^-{1,2}(?:cmd|init|interactive)|load_extension|writefile|edit\s*\(|fts3_tokenizer/i,
  psql: /\\|program|^-(?!-)[^-]*[fvoL]|^--(?:f|se|va|o|lo)/i,
  mysql: /\\|system|source|^--(?:pag|init|login|def|plug)/i,
  mariadb: /\\|system|source|^--(?:pag|init|login|def|plug)/i,
  convert: /^[|@]|^-(?:process|print)|^[a-z0-9-]+:/i,
  magick: /^[|@]|^-(?:process|print|script)|^[a-z0-9-]+:/i,
  deno: /^(?:eval|repl|-)$/,
  bun: /^(?:-e|--eval.*|-p|--print.*|exec|x|repl|-)$/,
  ...Object.fromEntries(
    'tex latex pdftex pdflatex xetex xelatex luatex lualatex etex context'
      .split(' ')
      .map((name) => [name, /^-{1,2}(?:sh|en|lua|ini|fmt|out)|[\\&|]/]),
  ),
  ...Object.fromEntries(
    'uv rye pdm hatch poetry pipenv pixi conda mamba micromamba'
      .split(' ')
      .map((name) => [name, /^(?:run|exec|tool|shell|x|test)$/]),
  ),
}

/** Without one of these the program reads its commands from the input. */
const NEEDED_OPERANDS: Readonly<Record<string, RegExp>> = {
  psql: /^-(?!-)[^-]*[cl]|^--(?:co|li)/,
  mysql: /^-(?!-)[^-]*e|^--ex/,
  mariadb: /^-(?!-)[^-]*e|^--ex/,
}

/** Programs that take nothing behind `--` for an option. */
const ENDS_OPTIONS: ReadonlySet<string> = new Set('tar bsdtar rsync scp sftp sort split wget zip install'.split(' '))

/** Whether the program is one that may run what its operands say; then operands that nobody sees could be such. */
export function readsOperandsAsCode(family: string): boolean {
  return (
    family === 'awk' ||
    family === 'sed' ||
    family === 'git' ||
    Object.hasOwn(INTERPRETERS, family) ||
    Object.hasOwn(RISKY_OPERANDS, family)
  )
}

/** Whether these operands may make the program run something that is not told by its name. */
export function hidesWhatRuns(family: string, operands: readonly Word[]): boolean {
  if (family === 'awk') return awkHides(operands)
  if (family === 'sed') return sedHides(operands)
  if (family === 'git') return gitHides(operands)
  if (Object.hasOwn(RISKY_OPERANDS, family) && hasRiskyOperand(family, operands)) return true
  return Object.hasOwn(INTERPRETERS, family) && interpreterHides(family, operands)
}

/** What the word becomes may be an option: a variable, or a glob that a file called `--checkpoint-action=…` matches. */
function mayBeOption(word: Word): boolean {
  return !word.isLiteral || (word.isGlob && /^[*?[]/.test(word.text))
}

function hasRiskyOperand(family: string, operands: readonly Word[]): boolean {
  const risky = RISKY_OPERANDS[family]!
  const end = ENDS_OPTIONS.has(family) ? operands.findIndex(({ isLiteral, text }) => isLiteral && text === '--') : -1
  const options = end < 0 ? operands : operands.slice(0, end)
  if (options.some((word) => mayBeOption(word) || risky.test(word.text))) return true
  // `tar cIf prog x`: the first operand of tar needs no dash.
  if (family.endsWith('tar') && /^[^-]*[IF]/.test(operands[0]?.text ?? '')) return true
  if (family === 'sqlite') return operands.filter(({ text }) => !text.startsWith('-')).length < 2
  const needed = NEEDED_OPERANDS[family]
  return needed !== undefined && !operands.some(({ text }) => needed.test(text) || TELLS.test(text))
}

/** Options that print a line about the program itself. */
const TELLS = /^(?:-v|-V|-h|--version|--help)$/
/** Files that are another stream of this process. */
const STREAM = /^\/(?:dev|proc)(?:\/|$)/

function interpreterHides(family: string, operands: readonly Word[]): boolean {
  const interpreter = INTERPRETERS[family]!
  if (operands.length === 1 && TELLS.test(operands[0]!.text)) return false
  for (let i = 0; i < operands.length; i++) {
    const word = operands[i]!
    if (!word.isLiteral || word.isGlob || word.text === '-') return true
    if (!word.text.startsWith('-')) return STREAM.test(word.text)
    if (family === 'python' || family === 'pypy') {
      const joined = /^-[bBdEIOPqsSuvx]*m(.*)$/s.exec(word.text)?.[1]
      if (joined !== undefined) return moduleHides(joined === '' ? operands[i + 1] : { ...word, text: joined })
    }
    const taken = optionWords(interpreter, word.text)
    if (taken === undefined || (taken === 1 && operands[i + 1]?.isLiteral !== true)) return true
    i += taken
  }
  // Nothing but options: the code comes from the input.
  return true
}

function moduleHides(module: Word | undefined): boolean {
  return module === undefined || !module.isLiteral || module.isGlob || CODE_MODULES.has(module.text.split('.')[0]!)
}

/** Further words that the option takes; `undefined` where it is not known. */
function optionWords(interpreter: Interpreter, text: string): 0 | 1 | undefined {
  if (text.startsWith('--')) return interpreter.long?.test(text) === true ? 0 : undefined
  for (let i = 1; i < text.length; i++) {
    if (interpreter.values.includes(text[i]!)) return i === text.length - 1 ? 1 : 0
    if (!interpreter.flags.includes(text[i]!)) return undefined
  }
  return 0
}

/** Pipes, other programs, libraries, indirect calls; a `>` after a `print` writes a file. */
const AWK_RUNS = /system|getline|\||@|`|print[\s\S]*>/

/** `awk -F: -v a=1 'program' files`: options end at the first operand. */
function awkHides(operands: readonly Word[]): boolean {
  for (let i = 0; i < operands.length; i++) {
    const word = operands[i]!
    if (!word.isLiteral || word.isGlob) return true
    if (word.text === '--') return awkHides(operands.slice(i + 1, i + 2))
    if (!word.text.startsWith('-')) return AWK_RUNS.test(word.text)
    const option = /^-[Fv]([\s\S]*)$/.exec(word.text)
    if (option === null) return !TELLS.test(word.text)
    if (option[1] === '' && operands[++i]?.isLiteral !== true) return true
  }
  return true
}

/** One `s`, `y`-less command of sed or one of those without an argument, with at most two plain addresses. */
const SED_ADDRESS = String.raw`(?:[0-9]+|\$|\/(?:[^\/\\\n[]|\\[^\n])*\/)`
const SED_SUBSTITUTION = ['/', '|', '#', ',', ':', '@', '%', '!', '_']
  .map((sign) => {
    const part = String.raw`(?:[^\\\n${sign === '|' ? '\\|' : sign}]|\\[^\n])*`
    const cut = sign === '|' ? '\\|' : sign
    return `s${cut}${part}${cut}${part}${cut}[gpiI0-9]*`
  })
  .join('|')
const SED_COMMAND = `\\s*(?:${SED_ADDRESS}(?:\\s*,\\s*${SED_ADDRESS})?\\s*(?:!\\s*)?)?(?:[dpqnNDPgGhHx=]|${SED_SUBSTITUTION})\\s*`
const SED_PLAIN = new RegExp(`^${SED_COMMAND}(?:;${SED_COMMAND})*;?$`)
/** Bounds the time of the pattern above. */
const MAX_SED = 1_000

/** GNU sed has `e`, which runs a command, as command and as flag of `s`; options may stand behind the files. */
function sedHides(operands: readonly Word[]): boolean {
  const scripts: string[] = []
  const files: string[] = []
  for (let i = 0; i < operands.length; i++) {
    const word = operands[i]!
    if (mayBeOption(word)) return true
    if (!word.text.startsWith('-') || word.text === '-') files.push(word.text)
    else if (word.text === '-e' || word.text === '--expression') {
      const script = operands[++i]
      if (script?.isLiteral !== true || script.isGlob) return true
      scripts.push(script.text)
    } else if (word.text.startsWith('--expression=')) scripts.push(word.text.slice('--expression='.length))
    else if (
      !/^(?:-[nErsuz]+|-[nErsuz]*i[\w.]*|--(?:quiet|silent|regexp-extended|in-place|posix|sandbox|version|help))$/.test(
        word.text,
      )
    )
      return true
  }
  if (scripts.length === 0) scripts.push(...files.slice(0, 1))
  return scripts.some((script) => script.length > MAX_SED || !SED_PLAIN.test(script))
}

/** Subcommands that run what their operands say. */
const GIT_RUNNERS: ReadonlySet<string> = new Set(
  'bisect filter-branch difftool mergetool send-email instaweb daemon shell for-each-repo hook upload-pack upload-archive receive-pack http-backend credential web--browse maintenance p4 svn archimport cvsimport fast-import var'.split(
    ' ',
  ),
)
/** Options and operands of a subcommand by which git runs a program. */
const GIT_RUNS =
  /^(?:--exec|--upload|--receive|--ext|--open|--conf|--template|--strategy|--textc|--filter|foreach$|--edit)|(?:^|=)ext::|:\/\/-/
const GIT_SHORT_RUNS: Readonly<Record<string, RegExp>> = {
  clone: /^-(?!-)[^-]*[uc]/,
  fetch: /^-(?!-)[^-]*[uc]/,
  pull: /^-(?!-)[^-]*[uc]/,
  'ls-remote': /^-(?!-)[^-]*[uc]/,
  rebase: /^-(?!-)[^-]*[xi]/,
  grep: /^-(?!-)[^-]*O/,
}
/** Settings that name no program. */
const GIT_PLAIN_SETTING =
  /^(?:user|color|advice|branch|push|pull|fetch|rerere|column|status|log|tag|commit|init\.defaultbranch)\b/i

function gitHides(operands: readonly Word[]): boolean {
  if (operands.some(mayBeOption)) return true
  let at = 0
  while (operands[at]?.text.startsWith('-') === true) {
    const { text } = operands[at]!
    if (text === '-C') at++
    else if (!/^(?:--no-pager|-P|--version|--help|--literal-pathspecs|--no-optional-locks)$/.test(text)) return true
    at++
  }
  const [command, ...rest] = operands.slice(at).map(({ text }) => text)
  if (command === undefined) return false
  if (GIT_RUNNERS.has(command)) return true
  if (command === 'config') return settingHides(rest)
  const runs = Object.hasOwn(GIT_SHORT_RUNS, command) ? GIT_SHORT_RUNS[command] : undefined
  if (runs !== undefined && rest.some((text) => runs.test(text))) return true
  // An alias may be any command; one of git's own is no alias.
  return !GIT_COMMANDS.has(command) || rest.some((text) => GIT_RUNS.test(text))
}

/** `git config user.name x` names no program, `git config alias.x '!rm y'` does; reading is free. */
function settingHides(operands: readonly string[]): boolean {
  const options = operands.filter((text) => text.startsWith('-'))
  if (!options.every((text) => GIT_CONFIG_OPTION.test(text))) return true
  const [first = '', second = ''] = operands.filter((text) => !text.startsWith('-'))
  if (first === 'get' || first === 'list' || options.some((text) => /^-(?:-get|-list|l)/.test(text))) return false
  return !GIT_PLAIN_SETTING.test(['set', 'unset'].includes(first) ? second : first)
}

const GIT_CONFIG_OPTION =
  /^(?:-l|--(?:global|local|system|worktree|add|unset|get|get-all|get-regexp|list|type=\w+|bool|int|show-origin|show-scope|name-only))$/

const GIT_COMMANDS: ReadonlySet<string> = new Set(
  `add am annotate apply archive blame branch bundle cat-file check-attr check-ignore check-ref-format checkout cherry cherry-pick
  clean clone commit commit-graph commit-tree count-objects describe diff diff-files diff-index diff-tree fetch format-patch
  for-each-ref fsck gc grep hash-object help init interpret-trailers log ls-files ls-remote ls-tree merge merge-base merge-file
  merge-tree mktag mktree mv name-rev notes pack-refs patch-id prune pull push range-diff read-tree rebase reflog remote repack
  replace reset restore rev-list rev-parse revert rm shortlog show show-branch show-ref sparse-checkout stage stash status
  stripspace submodule switch symbolic-ref tag update-index update-ref verify-commit verify-pack verify-tag version whatchanged
  worktree write-tree`.split(/\s+/),
)

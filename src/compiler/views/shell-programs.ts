import { hidesWhatRuns, readsOperandsAsCode } from './shell-operands.js'
import type { Word } from './shell-reader.js'

/** What a program runs besides itself, told by its operands. */
export type Inner =
  | { readonly kind: 'none' }
  | { readonly kind: 'hidden' }
  | { readonly kind: 'command'; readonly words: readonly Word[] }
  | { readonly kind: 'commands'; readonly commands: readonly (readonly Word[])[] }
  | { readonly kind: 'code'; readonly text: string }

const NONE: Inner = { kind: 'none' }
const HIDDEN: Inner = { kind: 'hidden' }

/** Programs that run others in ways we do not read, or change what names mean. */
export const hiddenPrograms: ReadonlySet<string> = new Set(
  `alias enable hash bind complete compgen compopt fc history let su runuser sg ssh rsh slogin mosh sshpass script
  docker podman nerdctl kubectl oc lxc systemd-run screen tmux at batch crontab watch parallel flock chroot unshare nsenter
  strace ltrace taskset chrt entr fakeroot proot firejail bwrap expect rlwrap unbuffer setpriv capsh start-stop-daemon
  run-parts pkexec xvfb-run valgrind gdb perf ld.so ld-linux.so.2 ld-linux-x86-64.so.2 dbus-run-session systemd-nspawn
  machinectl sudoedit sshfs wsl cmd cmd.exe powershell pwsh mapfile readarray coproc faketime torsocks proxychains
  proxychains4 setarch linux32 linux64 i386 x86_64 runcon gosu su-exec tini dumb-init softlimit chpst s6-setuidgid
  setuidgid eatmydata chronic sem cpulimit gdbserver newgrp dbus-launch nq cgexec numactl prlimit catchsegv ccache distcc
  rbash fish csh tcsh nu elvish xonsh yash posh sash rc es oksh loksh hush scsh ion osh ysh
  vi vim nvim view rvim rview vimdiff gvim ex ed red emacs emacsclient nano pico joe mcedit micro kak hx vipe vidir
  lldb dbx rr r2 radare2 uftrace heaptrack memusage dc gs ghostscript
  socat ftp lftp tftp telnet mongo mongosh sqlplus cqlsh msfconsole ansible fab salt pdsh pssh clush dsh autossh ssh-agent
  npx bunx pnpx uvx pipx nix nix-shell nix-build guix flatpak toolbox distrobox vagrant heroku flyctl fly
  systemd-inhibit systemd-cat systemd-ask-password logsave ifne pee mispipe lckdo hyperfine multitime choom uclampset coresched
  runc crun ctr crictl buildah lxc-attach lxc-execute incus virsh vmrun byobu dtach abduco zellij
  daemon daemonize supervisorctl forever pm2 nodemon foreman honcho concurrently cross-env dotenv direnv envdir envchain
  aws-vault doppler chamber watchexec entr fzf xterm gnome-terminal konsole alacritty kitty openvt wine mono torify tsocks
  mpirun mpiexec srun sbatch qsub bsub mutt exim sendmail gtester byebug rake wscript cscript mshta rundll32 regsvr32 msbuild
  wmic forfiles`.split(/\s+/),
)

const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh', 'mksh'])

/** Builtins that evaluate subscripts in their operands (`test -v 'a[$(rm)]'`). */
const EVALUATING = new Set('test [ unset read printf declare typeset local export readonly getopts wait'.split(' '))

/** Options of a program that runs the command after them. An option that is not listed hides what runs. */
interface Prefix {
  /** Letters of options without a value. */
  readonly flags: string
  /** Letters of options with one, joined or as the next word. */
  readonly values: string
  readonly longFlags?: readonly string[]
  /** Taken only as `--name=value`. */
  readonly longValues?: readonly string[]
  /** Words between the options and the command. */
  readonly operands?: number
  /** Whether `NAME=value` may stand before the command. */
  readonly assigns?: boolean
}

const PREFIXES: Readonly<Record<string, Prefix>> = {
  sudo: { flags: 'nEHSbkAPB', values: 'ughpCrtTUDR', longFlags: ['preserve-env', 'non-interactive'], assigns: true },
  doas: { flags: 'nL', values: 'uC' },
  env: { flags: 'i0v', values: 'uC', longFlags: ['ignore-environment'], longValues: ['unset', 'chdir'], assigns: true },
  nohup: { flags: '', values: '' },
  time: { flags: 'pvaq', values: 'fo', longFlags: ['portability', 'verbose'], longValues: ['format', 'output'] },
  nice: { flags: '', values: 'n', longValues: ['adjustment'] },
  ionice: { flags: 't', values: 'cn' },
  timeout: {
    flags: 'v',
    values: 'ks',
    longFlags: ['foreground', 'preserve-status', 'verbose'],
    longValues: ['kill-after', 'signal'],
    operands: 1,
  },
  stdbuf: { flags: '', values: 'ioe', longValues: ['input', 'output', 'error'] },
  setsid: { flags: 'cfw', values: '', longFlags: ['fork', 'wait', 'ctty'] },
  xargs: {
    flags: '0rtxp',
    values: 'nPILsdEa',
    longFlags: ['null', 'no-run-if-empty', 'verbose'],
    longValues: ['max-args', 'max-procs', 'max-lines', 'delimiter', 'arg-file'],
  },
  command: { flags: 'pvV', values: '' },
  builtin: { flags: '', values: '' },
  exec: { flags: 'cl', values: 'a' },
  busybox: { flags: '', values: '' },
  toybox: { flags: '', values: '' },
}

const FIND_EXEC = new Set(['-exec', '-execdir', '-ok', '-okdir'])
const FD_EXEC = /^(?:-[^-]*[xX]|--exec)/

/** Coreutils and others by their names on macOS and the BSDs. */
const GNU_NAME = /^g(?=(?:env|nice|nohup|stdbuf|timeout|xargs|find|awk|sed|tar|split|sort|make|time|chroot|install)$)/
/** Other names of what is looked up here under one. */
const SAME_AS: Readonly<Record<string, string>> = {
  nawk: 'awk',
  mawk: 'awk',
  'original-awk': 'awk',
  'g++': 'gcc',
  'c++': 'cc',
}

/**
 * The name under which a program is looked up here: in lower case, without version and extension (`python3.12`, `bash.exe`),
 * `timeout` for `gtimeout`.
 */
export function familyOf(name: string): string {
  const plain = name.toLowerCase().replace(/\.(?:exe|com|cmd|bat)$/, '')
  if (hiddenPrograms.has(plain)) return plain
  const family = plain.replace(/(?<=[a-z])-?[0-9][0-9.]*$/, '').replace(GNU_NAME, '')
  return SAME_AS[family] ?? family
}

/** Loaders and emulators that run the program in their operands, by whatever version. */
const LOADER = /^(?:ld[-.].*so|ld\.so|qemu-)/

/** Whether the program runs others in ways that are not read. */
export function isHiddenProgram(family: string): boolean {
  return hiddenPrograms.has(family) || LOADER.test(family)
}

/** @param program by {@link familyOf} */
export function innerCommand(program: string, operands: readonly Word[]): Inner {
  if (Object.hasOwn(PREFIXES, program)) return afterPrefix(program, operands)
  if (SHELLS.has(program)) return shellCode(operands)
  if (readsOperandsAsCode(program)) return hidesWhatRuns(program, operands) ? HIDDEN : NONE
  switch (program) {
    case 'eval':
      return joined(operands)
    case 'source':
    case '.':
      return operands[0]?.text.startsWith('-') === true ? HIDDEN : scriptFile(operands[0])
    case 'trap':
      return trapped(operands)
    case 'find':
      return findCommands(operands)
    case 'fd':
    case 'fdfind':
      return operands.some((word) => !word.isLiteral || FD_EXEC.test(word.text)) ? HIDDEN : NONE
    default:
  }
  if (EVALUATING.has(program)) return operands.some(evaluates) ? HIDDEN : NONE
  return NONE
}

function evaluates(word: Word): boolean {
  return !word.isLiteral ? false : /\$\(|`|\[.*\]/s.test(word.text) && /[$`]/.test(word.text)
}

/** What `eval` and `trap` run: their operands joined, when all are known. */
function joined(operands: readonly Word[]): Inner {
  if (operands.some((word) => !word.isLiteral || word.isGlob)) return HIDDEN
  return { kind: 'code', text: operands.map((word) => word.text).join(' ') }
}

/** `trap 'code' EXIT`; with an option, or `-` for the code, nothing is run that the text does not show. */
function trapped(operands: readonly Word[]): Inner {
  const code = operands[0]?.isLiteral === true && operands[0].text === '--' ? operands.slice(1) : operands
  return code.length > 1 && !/^-[lp]?$/.test(code[0]!.text) ? joined(code.slice(0, 1)) : NONE
}

function afterPrefix(program: string, operands: readonly Word[]): Inner {
  const prefix = PREFIXES[program]!
  let next = skipOptions(prefix, operands)
  if (next === undefined) return HIDDEN
  const options = operands.slice(0, next)
  for (let i = 0; i < (prefix.operands ?? 0); i++, next++) if (mayBeSeveral(operands[next])) return HIDDEN
  // A name may be any text for `env` and `sudo`, `BASH_FUNC_ls%%` too. What splits into words may bring a program of its own.
  for (; prefix.assigns === true && operands[next]?.text.includes('=') === true; next++) {
    if (mayBeSeveral(operands[next]) || !/^[A-Za-z_]\w*=/.test(operands[next]!.text)) return HIDDEN
  }
  const words = operands.slice(next)
  if (program !== 'xargs') return words.length === 0 ? NONE : { kind: 'command', words }
  return xargsCommand(options, words)
}

function mayBeSeveral(word: Word | undefined): boolean {
  return word !== undefined && (!word.isLiteral || word.isGlob)
}

/** `xargs` appends words from its input: to a program that runs its operands, that is a command nobody sees here. */
function xargsCommand(options: readonly Word[], words: readonly Word[]): Inner {
  const [first] = words
  if (first === undefined) return NONE
  const replaced = replacedBy(options)
  if (replaced !== undefined && first.text.includes(replaced)) return HIDDEN
  const name = familyOf(first.text.slice(first.text.lastIndexOf('/') + 1))
  const runsOperands =
    Object.hasOwn(PREFIXES, name) ||
    SHELLS.has(name) ||
    readsOperandsAsCode(name) ||
    ['eval', 'find', 'fd', 'fdfind', 'trap'].includes(name)
  return runsOperands ? HIDDEN : { kind: 'command', words }
}

/** What `-I` has replaced by the input. */
function replacedBy(options: readonly Word[]): string | undefined {
  const at = options.findIndex((word) => /^-[0rtxp]*I/.test(word.text))
  const joinedText = options[at]?.text.replace(/^-[0rtxp]*I/, '')
  return joinedText === '' ? options[at + 1]?.text : joinedText
}

/** Index of the first word after the options; `undefined` where an option is not known or a word not literal. */
function skipOptions(prefix: Prefix, operands: readonly Word[]): number | undefined {
  for (let i = 0; i < operands.length; i++) {
    const word = operands[i]!
    if (!word.isLiteral) return undefined
    if (word.text === '--') return i + 1
    if (!word.text.startsWith('-') || word.text === '-') return word.text === '-' ? undefined : i
    const taken = word.text.startsWith('--') ? longOption(prefix, word.text) : shortOptions(prefix, word.text)
    if (taken === undefined) return undefined
    i += taken
    if (taken === 1 && operands[i]?.isLiteral !== true) return undefined
  }
  return operands.length
}

/** Further words that the option takes. */
function longOption(prefix: Prefix, text: string): 0 | undefined {
  const [name, value] = text.slice(2).split('=', 2)
  if (value === undefined) return prefix.longFlags?.includes(name!) === true ? 0 : undefined
  return prefix.longValues?.includes(name!) === true ? 0 : undefined
}

function shortOptions(prefix: Prefix, text: string): 0 | 1 | undefined {
  for (let i = 1; i < text.length; i++) {
    const letter = text[i]!
    if (prefix.values.includes(letter)) return i === text.length - 1 ? 1 : 0
    if (!prefix.flags.includes(letter)) return undefined
  }
  return 0
}

/** Files that are another stream of this process, a here-document for one: what they hold is no script on disk. */
const STREAM = /^\/(?:dev|proc)(?:\/|$)/

/**
 * `sh -c 'code'`, `bash -lc 'code'`. A script file is a program's own business, its name is among the words; without one
 * the shell runs its input, be it a pipe or a here-document.
 */
function shellCode(operands: readonly Word[]): Inner {
  for (let i = 0; i < operands.length; i++) {
    const word = operands[i]!
    if (!word.isLiteral || word.isGlob) return HIDDEN
    if (!/^[-+]./.test(word.text)) return scriptFile(word)
    if (word.text === '--norc' || word.text === '--noprofile' || word.text === '--login' || word.text === '--posix')
      continue
    if (!/^[-+][abcefhilmnprstuvxBCEHPT]+$/.test(word.text)) return HIDDEN
    if (word.text.includes('s')) return HIDDEN
    if (!word.text.includes('c') || word.text.startsWith('+')) continue
    return codeAfter(operands.slice(i + 1))
  }
  return HIDDEN
}

function scriptFile(word: Word | undefined): Inner {
  if (word === undefined) return NONE
  return !word.isLiteral || word.isGlob || word.text === '-' || STREAM.test(word.text) ? HIDDEN : NONE
}

/** The first operand after `-c`, further options (`sh -c -e 'code'`) aside. */
function codeAfter(operands: readonly Word[]): Inner {
  const code = operands[0]
  if (code === undefined || !code.isLiteral || code.isGlob || /^[-+]/.test(code.text)) return HIDDEN
  return { kind: 'code', text: code.text }
}

/** The commands of every `-exec`, up to `;` or `+`. */
function findCommands(operands: readonly Word[]): Inner {
  const commands: Word[][] = []
  let current: Word[] | undefined
  for (const word of operands) {
    if (current === undefined) {
      if (!word.isLiteral) return HIDDEN
      if (FIND_EXEC.has(word.text)) commands.push((current = []))
    } else if (word.isLiteral && (word.text === ';' || word.text === '+')) current = undefined
    else current.push(word)
  }
  return commands.length === 0 ? NONE : { kind: 'commands', commands }
}

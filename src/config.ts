import { parseArgs } from 'node:util'

/** How the server runs. Made by {@link readConfig}, frozen, valid. */
export interface Config {
  /** Folder of `*.policy` files. @default `policies` */
  readonly policies: string
  /** Folder for the audit spool and the embedded store; made when missing. @default `./data` */
  readonly data: string
  /** Critical violations of one agent that stop it, and within which time; null: people alone stop agents. @default null */
  readonly autoKill: { readonly most: number; readonly withinMs: number } | null
  /** Null: `key-pepper` in the data folder. */
  readonly keyPepperFile: string | null
  /** Other than loopback only with a control store, whose keys say who calls; port 0 lets the system choose. @default `127.0.0.1:50051` */
  readonly listen: { readonly host: string; readonly port: number; readonly isLoopback: boolean }
  /** Where the same services answer JSON; null for nowhere. As with `listen`, other than loopback only with a control store. */
  readonly http: { readonly host: string; readonly port: number; readonly isLoopback: boolean } | null
  /** Processes that share the port, 1 to 64; with more than one the limits hold for each of them. @default 1 */
  readonly workers: number
  readonly audit: {
    /** Where records end up: `embedded` is chDB below `data`, `none` leaves them in the spool. @default by `clickhouseUrl` */
    readonly store: 'embedded' | 'clickhouse' | 'none'
    /** Set if and only if `store` is `clickhouse`; may hold a password, so never printed. */
    readonly clickhouseUrl: string | null
    /** Largest spool, in bytes, of all workers together; beyond it every call is denied. 1 MiB a worker to 1 PiB. @default 10 GiB */
    readonly spoolMaxBytes: number
  }
  readonly control: {
    /** Where keys, approvals and kill switches live: `embedded` is PostgreSQL below `data`, `none` is nowhere. @default by `databaseUrl` */
    readonly store: 'embedded' | 'postgres' | 'none'
    /** Set if and only if `store` is `postgres`; may hold a password, so never printed. */
    readonly databaseUrl: string | null
    /** Connections to PostgreSQL, one more than this for announcements; 2 to 1,000. @default 10 */
    readonly poolSize: number
  }
  /** File that says where people are told of approvals; null tells the log alone. Read at start, for it names secrets. */
  readonly notifyFile: string | null
  readonly limits: {
    /** Calls that one connection may have open at a time, 1 to 100,000. @default 1,000 */
    readonly maxConcurrentStreams: number
    /** Connections open at a time. */
    readonly maxConnections: number
    /** Bytes of messages in memory beyond which the connection that sent most is cut. */
    readonly maxBufferedBytes: number
    /**
     * How long a connection is used before its client is told to open another, in milliseconds, up to a tenth more or less;
     * calls under way on it get `drainMs` to finish. 0 never, else 1,000 to 86,400,000. @default 0
     */
    readonly maxConnectionAgeMs: number
    /** Calls of one DecideStream that may wait for their records at a time, 1 to 10,000. @default 256 */
    readonly streamInFlight: number
    /** Answers remembered for repeated request ids, 1 to 10,000,000. @default 50,000 */
    readonly rememberedRequests: number
  }
  /** How long a shutdown waits for calls under way, in milliseconds, 0 to 600,000. @default 10,000 */
  readonly drainMs: number
  readonly log: {
    /** @default `info` */
    readonly level: 'debug' | 'info' | 'warn' | 'error'
    /** `auto` is text on a terminal, JSON elsewhere. @default `auto` */
    readonly format: 'auto' | 'json' | 'text'
  }
}

/** The configuration is wrong; `message` holds one line a problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** One setting as people meet it: in `serve --help`, in the environment, in docs/operations.md. */
export interface Setting {
  readonly flag: string
  readonly variable: string
  /** As text, before it is read. */
  readonly fallback: string
  /** What it takes: `PATH`, `HOST:PORT`, `MS`, or the choices. */
  readonly takes: string
  readonly about: string
}

export const SETTINGS = {
  policies: setting('policies', 'PORTCULLIS_POLICIES', 'policies', 'PATH', 'folder of *.policy files'),
  data: setting('data', 'PORTCULLIS_DATA', './data', 'PATH', 'folder for the audit, made when missing'),
  listen: setting(
    'listen',
    'PORTCULLIS_LISTEN',
    '127.0.0.1:50051',
    'HOST:PORT',
    'address; other than loopback only with a control store; port 0: any',
  ),
  http: setting(
    'http',
    'PORTCULLIS_HTTP',
    '',
    'HOST:PORT',
    'address for the same services as JSON over HTTP, by the rules of --listen; not with --workers; empty: none',
  ),
  workers: setting(
    'workers',
    'PORTCULLIS_WORKERS',
    '1',
    'COUNT',
    'processes that share the port, 1 to 64; a connection stays with one',
  ),
  auditStore: setting(
    'audit-store',
    'PORTCULLIS_AUDIT_STORE',
    '',
    'embedded|clickhouse|none',
    'where records end up; clickhouse when CLICKHOUSE_URL is set, else embedded',
  ),
  clickhouseUrl: setting(
    'clickhouse-url',
    'CLICKHOUSE_URL',
    '',
    'URL',
    'ClickHouse server, http(s)://user:password@host:8123/database',
  ),
  controlStore: setting(
    'control-store',
    'PORTCULLIS_CONTROL_STORE',
    '',
    'embedded|postgres|none',
    'where keys, approvals and kill switches live; postgres when DATABASE_URL is set, else embedded',
  ),
  databaseUrl: setting(
    'database-url',
    'DATABASE_URL',
    '',
    'URL',
    'PostgreSQL server, postgres://user:password@host:5432/database',
  ),
  keyPepperFile: setting(
    'key-pepper-file',
    'PORTCULLIS_KEY_PEPPER_FILE',
    '',
    'PATH',
    'secret that API keys are hashed with, the same for all instances; key-pepper in the data folder, made when missing',
  ),
  databasePoolSize: setting(
    'database-pool-size',
    'PORTCULLIS_DATABASE_POOL_SIZE',
    '10',
    'COUNT',
    'connections to PostgreSQL, and one more for announcements',
  ),
  autoKill: setting(
    'auto-kill',
    'PORTCULLIS_AUTO_KILL',
    '',
    'COUNT/TIME',
    'engages the kill switch of an agent after so many critical violations, such as 5/10m; off unless given',
  ),
  notify: setting(
    'notify',
    'PORTCULLIS_NOTIFY',
    '',
    'FILE',
    'JSON file of the channels that tell people of approvals; without it the log does',
  ),
  spoolMaxBytes: setting(
    'audit-spool-max-bytes',
    'PORTCULLIS_AUDIT_SPOOL_MAX_BYTES',
    String(10 * 1024 ** 3),
    'BYTES',
    'largest spool of records not stored yet; beyond it every call is denied',
  ),
  maxConcurrentStreams: setting(
    'max-concurrent-streams',
    'PORTCULLIS_MAX_CONCURRENT_STREAMS',
    '1000',
    'COUNT',
    'open calls a connection',
  ),
  maxConnections: setting(
    'max-connections',
    'PORTCULLIS_MAX_CONNECTIONS',
    '2000',
    'COUNT',
    'connections open at a time, 1 to 1,000,000; a further one is closed at once',
  ),
  maxBufferedBytes: setting(
    'max-buffered-bytes',
    'PORTCULLIS_MAX_BUFFERED_BYTES',
    '536870912',
    'BYTES',
    'messages in memory, finished or not, 64 MiB to 1 TiB; beyond it the connection that sent most is cut',
  ),
  maxConnectionAgeMs: setting(
    'max-connection-age-ms',
    'PORTCULLIS_MAX_CONNECTION_AGE_MS',
    '0',
    'MS',
    'a connection older than this is replaced, so that clients spread anew; 0: never',
  ),
  streamInFlight: setting(
    'stream-in-flight',
    'PORTCULLIS_STREAM_IN_FLIGHT',
    '256',
    'COUNT',
    'calls of one DecideStream that wait for their records',
  ),
  rememberedRequests: setting(
    'remembered-requests',
    'PORTCULLIS_REMEMBERED_REQUESTS',
    '50000',
    'COUNT',
    'answers kept for repeated request ids',
  ),
  drainMs: setting('drain-ms', 'PORTCULLIS_DRAIN_MS', '10000', 'MS', 'how long a shutdown waits for calls under way'),
  logLevel: setting(
    'log-level',
    'PORTCULLIS_LOG_LEVEL',
    'info',
    'debug|info|warn|error',
    'least level that is written',
  ),
  logFormat: setting(
    'log-format',
    'PORTCULLIS_LOG_FORMAT',
    'auto',
    'auto|json|text',
    'auto: text on a terminal, JSON elsewhere',
  ),
} as const satisfies Record<string, Setting>

const MIN_SPOOL_BYTES = 1024 ** 2

/**
 * Flags win over the environment, which wins over the defaults. An empty variable counts as unset.
 *
 * @param argv without program and command: `['--listen', '127.0.0.1:0']`
 * @throws {ConfigError} that names every problem, an unknown flag or `PORTCULLIS_` variable among them
 */
export function readConfig(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Config {
  const problems = new Problems()
  const flags = readFlags(argv, problems)
  refuseUnknownVariables(env, problems)
  const read = <T>(name: keyof typeof SETTINGS, parse: (text: string) => T): T | undefined => {
    const { flag, variable, fallback } = SETTINGS[name]
    const given = flags[flag]
    const text = given ?? (env[variable] || fallback)
    try {
      return parse(text)
    } catch (error) {
      problems.add(`${given !== undefined ? `--${flag}` : variable}: ${(error as Error).message}`)
      return undefined
    }
  }
  const clickhouseUrl = read('clickhouseUrl', url('an http:// or https:// URL', 'http', 'https'))
  const store = read('auditStore', (text) =>
    text === '' ? (clickhouseUrl ? 'clickhouse' : 'embedded') : choice('embedded', 'clickhouse', 'none')(text),
  )
  if (store === 'clickhouse' && clickhouseUrl === null) problems.add('the audit store clickhouse needs CLICKHOUSE_URL')
  const workers = read('workers', integer(1, 64))
  const spoolMaxBytes = read('spoolMaxBytes', integer(MIN_SPOOL_BYTES, 1024 ** 5))
  if (workers !== undefined && spoolMaxBytes !== undefined && spoolMaxBytes < workers * MIN_SPOOL_BYTES) {
    problems.add(`the audit spool of ${spoolMaxBytes} bytes is shared by ${workers} workers, and each needs 1 MiB`)
  }
  const databaseUrl = read(
    'databaseUrl',
    url('a postgres:// URL, with %XX for signs such as @ and / in a password', 'postgres', 'postgresql'),
  )
  const control = read('controlStore', (text) =>
    text === '' ? (databaseUrl ? 'postgres' : 'embedded') : choice('embedded', 'postgres', 'none')(text),
  )
  if (control === 'postgres' && databaseUrl === null) problems.add('the control store postgres needs DATABASE_URL')
  const notifyFile = read('notify', (file) => (file === '' ? null : text(file)))
  if (notifyFile && control === 'none') {
    problems.add(
      'what people are told of lives in the control store, and there is none: give --control-store, or leave out --notify',
    )
  }
  const listen = read('listen', address)
  const autoKill = read('autoKill', (rate) => (rate === '' ? null : countPerTime(rate)))
  if (autoKill && control === 'none') {
    problems.add(
      'kill switches live in the control store, and there is none: give --control-store, or leave out --auto-kill',
    )
  }
  const http = read('http', (at) => (at === '' ? null : address(at)))
  if (http && workers !== undefined && workers > 1) {
    problems.add(`with ${workers} workers there is no HTTP listener: leave out --http, or give --workers 1`)
  }
  for (const at of [listen, http]) {
    if (!at || at.isLoopback || control !== 'none') continue
    problems.add(
      `${shown(at.host)} can be reached from other machines, and without a control store nobody has to prove who calls: ` +
        'anyone could ask as any agent and read the audit. Listen on 127.0.0.1, ::1 or localhost, or give --control-store',
    )
  }
  const config = {
    policies: read('policies', text),
    data: read('data', text),
    autoKill,
    keyPepperFile: read('keyPepperFile', (path) => (path === '' ? null : text(path))),
    listen,
    http,
    workers,
    audit: {
      store,
      clickhouseUrl: store === 'clickhouse' ? clickhouseUrl : null,
      spoolMaxBytes,
    },
    control: {
      store: control,
      databaseUrl: control === 'postgres' ? databaseUrl : null,
      poolSize: read('databasePoolSize', integer(2, 1_000)),
    },
    notifyFile,
    limits: {
      maxConcurrentStreams: read('maxConcurrentStreams', integer(1, 100_000)),
      maxConnections: read('maxConnections', integer(1, 1_000_000)),
      maxBufferedBytes: read('maxBufferedBytes', integer(64 * 1024 ** 2, 1024 ** 4)),
      maxConnectionAgeMs: read('maxConnectionAgeMs', zeroOr(integer(1_000, 86_400_000))),
      streamInFlight: read('streamInFlight', integer(1, 10_000)),
      rememberedRequests: read('rememberedRequests', integer(1, 10_000_000)),
    },
    drainMs: read('drainMs', integer(0, 600_000)),
    log: {
      level: read('logLevel', choice('debug', 'info', 'warn', 'error')),
      format: read('logFormat', choice('auto', 'json', 'text')),
    },
  }
  problems.throwIfAny()
  return deepFreeze(config as Config)
}

function setting(flag: string, variable: string, fallback: string, takes: string, about: string): Setting {
  return { flag, variable, fallback, takes, about }
}

class Problems {
  readonly #lines: string[] = []
  add(line: string): void {
    this.#lines.push(line)
  }
  throwIfAny(): void {
    if (this.#lines.length > 0) throw new ConfigError(this.#lines.join('\n'))
  }
}

function readFlags(argv: readonly string[], problems: Problems): Readonly<Record<string, string>> {
  const names = Object.values(SETTINGS).map((s) => s.flag)
  const options = Object.fromEntries(names.map((flag) => [flag, { type: 'string' as const }]))
  const { values, tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind === 'positional')
      problems.add(`${shown(token.value)} is one word too many; settings are given as --name value`)
    else if (token.kind === 'option' && !names.includes(token.name)) {
      problems.add(`unknown option ${shown(token.rawName)}${didYouMean(token.name, names, '--')}`)
    } else if (token.kind === 'option' && token.value === undefined) problems.add(`--${token.name} needs a value`)
  }
  return Object.fromEntries(Object.entries(values).filter((e): e is [string, string] => typeof e[1] === 'string'))
}

function refuseUnknownVariables(env: Readonly<Record<string, string | undefined>>, problems: Problems): void {
  // A key for the commands that ask a server may lie in the same environment.
  const known: readonly string[] = [...Object.values(SETTINGS).map((s) => s.variable), 'PORTCULLIS_KEY']
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith('PORTCULLIS_') || known.includes(variable)) continue
    problems.add(`unknown variable ${shown(variable)} in the environment${didYouMean(variable, known, '')}`)
  }
}

function text(value: string): string {
  if (value.trim() === '') throw new Error('must not be empty')
  if (value.includes('\0')) throw new Error('must not hold a NUL character')
  return value
}

function choice<const T extends string>(...choices: readonly T[]): (value: string) => T {
  return (value) => {
    const found = choices.find((known) => known === value)
    if (found === undefined) throw new Error(`${shown(value)} is none of ${choices.join(', ')}`)
    return found
  }
}

function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = /^[0-9]{1,16}$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= min && number <= max)) throw new Error(`${shown(value)} is no whole number from ${min} to ${max}`)
    return number
  }
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

/** `5/10m`: five within ten minutes. */
function countPerTime(value: string): { most: number; withinMs: number } {
  const [, count, time, unit] = /^(\d{1,4})\/(\d{1,4})([smh])$/.exec(value) ?? []
  const most = Number(count)
  const withinMs = Number(time) * (UNITS[unit ?? ''] ?? Number.NaN)
  if (!(most >= 1 && most <= 1_000 && withinMs >= 1_000 && withinMs <= 86_400_000)) {
    throw new Error(
      `${shown(value)} is no COUNT/TIME such as 5/10m, with a count from 1 to 1000 and a time from 1s to 24h`,
    )
  }
  return { most, withinMs }
}

/** Zero turns off what has a range of its own. */
function zeroOr(read: (value: string) => number): (value: string) => number {
  return (value) => {
    if (value === '0') return 0
    try {
      return read(value)
    } catch (error) {
      throw new Error(`${(error as Error).message}, nor 0`)
    }
  }
}

/** An empty one is none. */
function url(what: string, ...schemes: readonly string[]): (value: string) => string | null {
  return (value) => {
    if (value === '') return null
    // The text is not repeated: it may hold a password.
    if (!schemes.some((scheme) => value.startsWith(`${scheme}://`)) || !isUrl(value)) throw new Error(`must be ${what}`)
    return value
  }
}

/** PostgreSQL's may lack a host (`postgres://user@/database?host=/folder/of/socket`), which others must have. */
function isUrl(value: string): boolean {
  return URL.canParse(value) || (value.startsWith('postgres') && URL.canParse(value.replace('@/', '@localhost/')))
}

function address(value: string): Config['listen'] {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(value)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  if (match === null || port > 65_535) {
    throw new Error(
      `${shown(value)} is no HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:50051 or [::1]:50051`,
    )
  }
  const isLoopback = host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
  return { host, port, isLoopback }
}

/** The text in backticks, with what cannot be seen escaped. */
function shown(value: string): string {
  return `\`${JSON.stringify(value.slice(0, 100)).slice(1, -1)}\``
}

function didYouMean(given: string, known: readonly string[], prefix: string): string {
  const [best] = known
    .map((name) => ({ name, distance: editDistance(given, name) }))
    .sort((a, b) => a.distance - b.distance)
  return best && best.distance <= Math.max(2, given.length / 4) ? `; did you mean \`${prefix}${best.name}\`?` : ''
}

/** Levenshtein. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner)
  return Object.freeze(value)
}

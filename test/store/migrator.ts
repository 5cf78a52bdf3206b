// One of several processes that bring the same database up to date at once; it tells what it applied itself.
import { migrate } from '../../src/store/migrate.js'
import { openDatabase } from '../../src/store/pg-database.js'

const [url = '', ...slow] = process.argv.slice(2)
const database = await openDatabase(url)
process.stdout.write('ready\n')
process.stdin.once('data', async () => {
  const applied = await migrate(
    database,
    slow.map((name, index) => ({
      version: index + 1,
      name,
      sql:
        index === 0
          ? 'CREATE TABLE schema_migrations (version int PRIMARY KEY, name text, checksum text); SELECT pg_sleep(0.3)'
          : `CREATE TABLE t${index} (a int); SELECT pg_sleep(0.1)`,
    })),
  )
  process.stdout.write(`applied ${applied.join(' ')}\n`)
  await database.close()
  process.stdin.destroy()
})

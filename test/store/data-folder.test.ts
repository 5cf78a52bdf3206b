import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { lockDataFolder } from '../../src/store/data-folder.js'

const HOLDER = fileURLToPath(new URL('./lock-holder.js', import.meta.url))

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-lock-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function holder(t: Test, folder: string): Promise<{ child: ChildProcess; answer: string }> {
  const child = fork(HOLDER, [folder])
  t.teardown(() => child.kill('SIGKILL'))
  const answer = await new Promise<string>((resolve) => child.once('message', (message) => resolve(String(message))))
  return { child, answer }
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

t.test('a second server on one data folder gets a clear error; kill -9 of the first frees it at once', async (t) => {
  const folder = join(temporaryFolder(t), 'made', 'when missing')
  const first = await holder(t, folder)
  t.equal(first.answer, 'locked')
  t.equal(statSync(folder).mode & 0o777, 0o700)
  const second = await holder(t, folder)
  t.match(second.answer, `the data folder ${folder} is in use by process ${first.child.pid}; stop that one`)
  await t.rejects(lockDataFolder(folder), {
    name: 'DataFolderError',
    message: new RegExp(`process ${first.child.pid};`),
  })
  await t.rejects(
    lockDataFolder(join(folder, '..', 'when missing', '.')),
    { name: 'DataFolderError' },
    'by another name',
  )
  await killed(first.child)
  t.ok(existsSync(join(folder, 'lock.sock')), 'a killed process leaves its socket file')
  const third = await holder(t, folder)
  t.equal(third.answer, 'locked')
})

t.test('of many that start at once one gets the folder', async (t) => {
  const folder = temporaryFolder(t)
  const stale = await holder(t, folder)
  await killed(stale.child)
  const answers = await Promise.all(Array.from({ length: 3 }, () => holder(t, folder)))
  t.equal(answers.filter(({ answer }) => answer === 'locked').length, 1)
  for (const { answer } of answers) if (answer !== 'locked') t.match(answer, /is in use by (another )?process/)
})

t.test('in one process', async (t) => {
  const folder = temporaryFolder(t)
  const lock = await lockDataFolder(folder)
  await t.rejects(lockDataFolder(folder), { message: new RegExp(`process ${process.pid}`) })
  const other = await lockDataFolder(temporaryFolder(t))
  const waiting = lockDataFolder(folder, 60_000)
  await lock.release()
  await lock.release()
  await (await waiting).release()
  t.notOk(existsSync(join(folder, 'lock.sock')), 'leaves nothing behind')
  await (await lockDataFolder(folder)).release()
  await other.release()
})

t.test('a holder in another network namespace is seen by its socket file', async (t) => {
  const folder = temporaryFolder(t)
  // Such a holder's abstract socket is out of sight here; what remains of it is the file.
  const container = createServer((connection) => connection.end('process 7\n'))
  await new Promise<void>((resolve) => container.listen(join(folder, 'lock.sock'), resolve))
  await t.rejects(lockDataFolder(folder), { message: /in use by process 7/ })
  await new Promise((resolve) => container.close(resolve))
  await (await lockDataFolder(folder)).release()
})

t.test('long paths and impossible ones', async (t) => {
  const folder = temporaryFolder(t)
  const long = join(folder, 'x'.repeat(120), 'y'.repeat(120))
  const lock = await lockDataFolder(long)
  await t.rejects(lockDataFolder(long), { message: /in use/ })
  await lock.release()
  const file = join(folder, 'file')
  writeFileSync(file, '')
  mkdirSync(join(folder, 'occupied', 'lock.sock'), { recursive: true })
  for (const path of [file, join(file, 'below'), '/proc/self/data', join(folder, 'occupied')]) {
    await t.rejects(
      lockDataFolder(path),
      { name: 'DataFolderError', message: /cannot be used: .* Make it writable, or set another one/ },
      path,
    )
  }
})

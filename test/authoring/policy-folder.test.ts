import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { FOLDER_LIMITS, PolicyFolderError, readPolicyFolder } from '../../src/authoring/policy-folder.js'
import { watchPolicyFolder } from '../../src/authoring/watch-folder.js'

/** Writes a tree: keys are paths, values contents. */
function plant(root: string, files: Readonly<Record<string, string>>): string {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
    writeFileSync(path.join(root, name), content)
  }
  return root
}

t.test('policies and attachments, by paths with slashes, hidden names left out', async (t) => {
  const root = plant(t.testdir(), {
    'a.policy': 'policy a',
    'team/b.policy': 'policy b',
    'team/lists/x.txt': 'one\n',
    '.git/c.policy': 'policy c',
    'team/.hidden.policy': 'policy d',
  })
  const { policies, attachments } = await readPolicyFolder(root)
  t.same([...policies.keys()], ['a.policy', 'team/b.policy'])
  t.same([...attachments.keys()], ['team/lists/x.txt'])
  t.equal(Buffer.from(policies.get('team/b.policy')!).toString(), 'policy b')
})

t.test('a policy over its limit is handed over for the checker to report', async (t) => {
  const root = plant(t.testdir(), { 'big.policy': '#' })
  truncateSync(path.join(root, 'big.policy'), 2 * 1024 * 1024)
  t.equal((await readPolicyFolder(root)).policies.get('big.policy')?.length, 2 * 1024 * 1024)
})

t.test('a Kubernetes ConfigMap: files and folders through ..data', async (t) => {
  const root = plant(t.testdir(), { '..2026_01/a.policy': 'policy a', '..2026_01/lists/x.txt': 'one' })
  symlinkSync('..2026_01', path.join(root, '..data'))
  symlinkSync('..data/a.policy', path.join(root, 'a.policy'))
  symlinkSync('..data/lists', path.join(root, 'lists'))
  const { policies, attachments } = await readPolicyFolder(root)
  t.same([...policies.keys()], ['a.policy'])
  t.same([...attachments.keys()], ['lists/x.txt'])
})

t.test('a lone file brings the files that it names, and no others', async (t) => {
  const root = plant(t.testdir(), {
    'a.policy': 'policy a\nlist x from "lists/x.txt"\nlist y from "../y.txt"\nlist z from "missing.txt"',
    'b.policy': 'policy b',
    'lists/x.txt': 'one',
    'lists/other.txt': 'two',
  })
  const { policies, attachments } = await readPolicyFolder(path.join(root, 'a.policy'))
  t.same([...policies.keys()], ['a.policy'])
  t.same([...attachments.keys()], ['lists/x.txt'])
})

t.test('what cannot be read is an error that names it', async (t) => {
  const outside = plant(t.testdir({ outside: {}, root: {} }), { 'outside/o.policy': 'policy o' })
  const root = path.join(outside, 'root')
  const fails = async (
    files: Readonly<Record<string, string>>,
    link: [string, string] | null,
    message: RegExp,
  ): Promise<void> => {
    rmSync(root, { recursive: true })
    mkdirSync(root)
    plant(root, files)
    if (link !== null) symlinkSync(link[0], path.join(root, link[1]))
    const error = await readPolicyFolder(root).catch((e: unknown) => e)
    t.type(error, PolicyFolderError)
    t.match((error as Error).message, message)
  }
  await fails({ 'readme.txt': '' }, null, /no policy file \(\*\.policy\) below/)
  await fails({ 'a.policy': '', 'B.POLICY': '' }, null, /`B\.POLICY` is not read: rename it to end in `\.policy`/)
  await fails({ 'a.policy': '' }, ['../outside/o.policy', 'o.policy'], /`o\.policy` links out of the policy folder/)
  await fails({ 'a.policy': '' }, ['../outside', 'team'], /`team` links out of the policy folder/)
  await fails(
    { 'a.policy': '' },
    ['gone.policy', 'b.policy'],
    /`b\.policy` does not exist, or is a link to what does not/,
  )
  await fails({ 'x/a.policy': '' }, ['..', 'x/up'], /`x\/up` links back to a folder that holds it/)
  await fails({ 'a.policy': '' }, ['self', 'self'], /`self` is a link that leads to itself/)
  await t.rejects(readPolicyFolder(path.join(root, 'nowhere')), /`.*nowhere` does not exist/)
  await t.rejects(
    readPolicyFolder(path.join(plant(root, { 'notes.txt': '' }), 'notes.txt')),
    /neither a folder nor a policy file/,
  )
})

t.test('limits of the whole bundle', async (t) => {
  const root = plant(t.testdir(), { 'a.policy': '', 'big.bin': '' })
  truncateSync(path.join(root, 'big.bin'), 65 * 1024 * 1024)
  await t.rejects(readPolicyFolder(root), /up to `big\.bin` exceed 64 MiB together/)
  rmSync(path.join(root, 'big.bin'))
  plant(root, { 'b.txt': '', 'c.txt': '' })
  const limits = { ...FOLDER_LIMITS, maxFiles: 3 }
  t.equal((await readPolicyFolder(root, limits)).attachments.size, 2, 'exactly as many as allowed')
  plant(root, { 'd.txt': '' })
  await t.rejects(readPolicyFolder(root, limits), /more than 3 files/)
})

t.test('the watch tells of a change of content, of ..data, and of a folder that went away', async (t) => {
  const root = plant(t.testdir(), { '..1/a.policy': 'policy a', '..2/a.policy': 'policy b' })
  symlinkSync('..1', path.join(root, '..data'))
  symlinkSync('..data/a.policy', path.join(root, 'a.policy'))
  let wake: (() => void) | null = null
  let changes = 0
  const told = (): void => {
    changes++
    wake?.()
  }
  const watch = watchPolicyFolder(root, told, { pollMs: 20, quietMs: 5 })
  // The watch itself keeps no process alive.
  const alive = setInterval(() => {}, 60_000)
  t.teardown(() => clearInterval(alive))
  t.teardown(() => watch.close())
  const changeAfter = (act: () => void): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      act()
    })
  await watch.ready
  await changeAfter(() => writeFileSync(path.join(root, 'b.policy'), 'policy c'))
  await changeAfter(() => {
    symlinkSync('..2', path.join(root, '..tmp'))
    renameSync(path.join(root, '..tmp'), path.join(root, '..data'))
  })
  await changeAfter(() => rmSync(root, { recursive: true }))
  watch.close()
  const before = changes
  plant(root, { 'a.policy': 'policy d' })
  t.equal(changes, before)
})

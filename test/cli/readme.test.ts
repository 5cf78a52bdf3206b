import { execFile, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startServer } from '../../bench/demo/server.js'
import { inProcess, ROOT, type Run } from './process.js'

/**
 * What README and docs/api.md tell the reader to type is run here as it stands there, but for the address of the server,
 * so that the pages cannot say what is no longer true.
 */
const README = readFileSync(`${ROOT}README.md`, 'utf8')
const API = readFileSync(`${ROOT}docs/api.md`, 'utf8')
const DEFAULT_ADDRESS = '127.0.0.1:50051'

/** The texts of a page's code blocks in one language. */
function blocks(page: string, language: string): readonly string[] {
  const all = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
  return all.filter(([, is]) => is === language).map(([, , text]) => text!)
}

/** Its command lines, continued ones joined, comments and redirections left out. */
function commands(page: string): readonly string[] {
  return blocks(page, 'sh')
    .flatMap((text) => text.replaceAll('\\\n', ' ').split('\n'))
    .map((line) => line.replace(/ +#.*$| < \S+/g, '').trim())
    .filter((line) => line !== '')
}

/** A word, or a text in single quotes. */
function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!)
}

function only<T>(items: readonly T[]): T {
  if (items.length !== 1) throw new Error(`expected one, found ${items.length}`)
  return items[0]!
}

const server = await startServer(ROOT, `${ROOT}policies`)
t.teardown(() => server.stop())
const { address } = server

t.test('the commands of the README', async (t) => {
  const call = '{"agent":"support-1","tool":"issue_refund","environment":"prod","arguments":{"amount":450}}'
  const printed: Readonly<Record<string, RegExp>> = {
    'decide --server':
      /^REQUIRE_APPROVAL {2}Rule APPROVE_LARGE_REFUND requires approval from support-manager: |^ALLOW {2}approved by bob/,
    'approvals list': /pending +support-1 +issue_refund/,
    'approvals approve': /^state +approved$.*bob@example\.com approves: checked with the customer/ms,
    'kill engage': /agent rogue-7 +engaged/,
    'kill list': /agent rogue-7 +engaged .*op@example\.com/,
    'audit overview': /Agent Security Overview.*Total Actions/s,
    'audit tail': /^$|REQUIRE_APPROVAL/,
    'check policies': /^ready: \d+ policies .* 0 errors, 0 warnings\n$/,
    'test policies': /\n\d+ passed, 0 failed\n$/,
    'explain --agent': /^ALLOW .*nearly matched:.*APPROVE_LARGE_REFUND/s,
    'explain-index policies': /APPROVE_LARGE_REFUND +\S+ +literal/,
    'decide --policies': /^{"outcome":"REQUIRE_APPROVAL",.*}\n$/,
  }
  const lines = commands(README).filter((line) => line.startsWith('npx portcullis '))
  t.strictSame(
    lines.map((line) => words(line).slice(2, 4).join(' ')).sort(),
    [...Object.keys(printed), 'decide --server'].sort(),
    'every command has its expectation',
  )
  let approval = ''
  for (const line of lines) {
    const [, , ...args] = words(line.replace(DEFAULT_ADDRESS, address).replace('APPROVAL', approval))
    if (['audit', 'approvals', 'kill'].includes(args[0]!)) args.push('--server', address)
    if (args[1] === 'tail') args.push('--no-follow')
    const run: Run = await inProcess(args, `${call}\n`)
    t.match(run, { code: 0, out: printed[args.slice(0, 2).join(' ')]!, err: '' }, line)
    approval = /^approval (\S+)$/m.exec(run.out)?.[1] ?? approval
  }
  const answer = only(blocks(README, '').filter((text) => text.startsWith('REQUIRE_APPROVAL')))
  const decide = lines.find((line) => line.includes('decide --server'))!.replace(DEFAULT_ADDRESS, address)
  const other = decide.replace('support-1', 'support-2')
  const printedNow = (await inProcess(words(other).slice(2))).out
  const id = /[0-9a-f]{8}-[0-9a-f-]{27}/
  t.equal(printedNow.replace(id, ''), answer.replace(id, ''), 'the answer that the README prints')
})

t.test('the scripts of npm that the README names', (t) => {
  const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { scripts: Record<string, string> }
  const named = [...README.matchAll(/npm (?:run )?(start|test|demo|fault|bench|fuzz)\b/g)].map(([, name]) => name!)
  t.ok(named.length >= 5)
  for (const name of named) t.ok(scripts[name], name)
  t.end()
})

t.test('the change of a policy that the README proposes', async (t) => {
  const rule = only(blocks(README, '').filter((text) => text.startsWith('rule APPROVE_LARGE_REFUND')))
  const folder = t.testdir()
  cpSync(`${ROOT}policies`, folder, { recursive: true })
  const file = join(folder, 'support/support.policy')
  const text = readFileSync(file, 'utf8')
  t.ok(text.includes(rule), 'the policy says what the README shows')
  writeFileSync(file, text.replace(rule, rule.replace('> 100', '> 500')))
  const [, , ...call] = words(commands(README).find((line) => line.includes('decide --server'))!)
  const local = call.filter((word) => word !== '--server' && word !== DEFAULT_ADDRESS)
  t.match(await inProcess([...local, '-p', folder]), { code: 0, out: /^ALLOW / })
})

const hasGrpc = spawnSync('python3', ['-c', 'import grpc, grpc_tools']).status === 0
const skip = !hasGrpc && 'needs python3 with grpcio and grpcio-tools (pip install grpcio grpcio-tools)'

t.test('the Python of the README and of docs/api.md', { skip }, async (t) => {
  const stubs = join(t.testdir(), 'stubs')
  const generate = commands(README).find((line) => line.includes('grpc_tools.protoc'))!
  await promisify(execFile)('sh', ['-c', generate.replaceAll(/\bstubs\b/g, `'${stubs}'`)], { cwd: ROOT })
  const python = async (page: string): Promise<{ stdout: string; stderr: string; code?: number }> => {
    const script = only(blocks(page, 'python')).replace(DEFAULT_ADDRESS, address)
    const options = { env: { ...process.env, PYTHONPATH: stubs } }
    return await promisify(execFile)('python3', ['-c', script], options).catch((error) => error)
  }
  const { stdout } = await python(README)
  const [, promised] = /# (DENY .*)…$/m.exec(README) ?? []
  t.ok(promised)
  t.equal(stdout.slice(0, promised!.length), promised)
  t.match((await python(API)).stderr, /PermissionError: Rule APPROVE_LARGE_REFUND requires approval/)
})

t.test('the TypeScript of docs/api.md', async (t) => {
  const snippet = only(blocks(API, 'ts')).replace(DEFAULT_ADDRESS, address)
  const folder = t.testdir()
  mkdirSync(join(folder, 'app'))
  const file = join(folder, 'app', 'ask.mjs')
  writeFileSync(file, snippet.replace("'./dist/", `'${ROOT}dist/`))
  const failed = await promisify(execFile)(process.execPath, [file]).catch((error: { stderr: string }) => error)
  t.match(failed.stderr, /Error: Rule APPROVE_LARGE_REFUND requires approval from support-manager/)
})

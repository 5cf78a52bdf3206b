import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { POLICY, startServer, TestLog, tempFolder } from './harness.js'

interface BadPolicy {
  readonly text: string | Buffer
  /** Lies beside the policy as `lists/long.txt`. */
  readonly list?: string
  /** The first line of what is said, without the file's name. */
  readonly message: string
}

const nested = (open: string, close = ''): string =>
  `policy p\nrule DEEP { when ${open.repeat(10_000)}true${close.repeat(10_000)} deny }\n`

const badPolicies: Readonly<Record<string, BadPolicy>> = {
  'does not parse': {
    text: 'policy p\nrule X { on tol send deny }\n',
    message: '2:13: error POL1009: `tol` cannot stand here; expected `agent`, `env`, `principal`, `tenant` or `tool`',
  },
  'does not type-check': {
    text: 'policy p\ntool pay { amount: number }\nrule X { on tool pay when args.amount contains "1" deny }\n',
    message: '3:27: error POL2108: `contains` works on texts, and `args.amount` is a number',
  },
  'names an argument that is not there': {
    text: 'policy p\ntool pay { amount: number }\nrule X { on tool pay when args.amout > 1 deny }\n',
    message: '3:27: error POL2101: `args.amout` is not an argument of tool `pay`',
  },
  'is 10 MB': {
    text: `policy p\n${'# comment\n'.repeat(1_000_000)}`,
    message: '1:1: error POL1001: the file has 10000009 bytes; the limit is 1048576 (1 MiB)',
  },
  'is not UTF-8': {
    text: Buffer.from('policy p\nrule X { deny "\xff" }\n', 'latin1'),
    message: '1:1: error POL1002: the file is not UTF-8: the byte at offset 24 begins no character',
  },
  'nests 10,000 parentheses': {
    text: nested('(', ')'),
    message: '2:81: error POL1007: brackets are nested deeper than 64',
  },
  'nests 10,000 lists': { text: nested('[', ']'), message: '2:81: error POL1007: brackets are nested deeper than 64' },
  'nests 10,000 nots': {
    text: nested('not '),
    message: '2:1: error POL1008: this declaration has 10007 words and signs; the limit is 4096',
  },
  'is a binary file': {
    text: Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01\x00', 'latin1'), Buffer.alloc(4_096, 0xe8)]),
    message: '1:1: error POL1002: the file is not UTF-8: the byte at offset 8 begins no character',
  },
  'holds control characters': {
    text: 'policy p\n\u0000rule X { deny }\n',
    message: '2:1: error POL1003: `\\u0000` has no meaning here',
  },
  'names a list file of 5 million lines': {
    text: 'policy p\nlist hosts from "lists/long.txt"\nrule X { on tool get when args.host in hosts deny }\n',
    list: 'a\n'.repeat(5_000_000),
    message: '2:17: error POL1016: `lists/long.txt` has 10000000 bytes; the limit is 8388608 (8 MiB)',
  },
  'names a list file that is missing': {
    text: 'policy p\nlist hosts from "lists/hosts.txt"\nrule X { on tool get when args.host in hosts deny }\n',
    message: '2:17: error POL1014: the file `lists/hosts.txt` does not exist in this bundle',
  },
  'imports a tool list that is missing': {
    text: 'policy p\nimport tools from "tools.json"\n',
    message: '2:1: error POL1014: the file `tools.json` does not exist in this bundle',
  },
}

function writeList(policies: string, text: string): void {
  mkdirSync(join(policies, 'lists'))
  writeFileSync(join(policies, 'lists', 'long.txt'), text)
}

const firstLine = (text = ''): string => text.split('\n')[0]!
const call = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }

t.test(
  'a bad policy is refused with its place and remedy; what was live goes on, and the mended folder goes live',
  async (t) => {
    const { app, client, policies } = await startServer(t)
    const { revision } = app.live
    const bad = join(policies, 'bad.policy')
    for (const [name, { text, list, message }] of Object.entries(badPolicies)) {
      writeFileSync(bad, text)
      if (list !== undefined) writeList(policies, list)
      await app.reload()
      t.equal(firstLine(app.policyStatus.failure?.message), `bad.policy:${message}`, name)
      t.equal(app.live.revision, revision, `${name}: the last good policies stay live`)
      t.match(await client.decide(call), { outcome: 'ALLOW', policyRevision: revision }, `${name}: and answer`)
      rmSync(bad)
      rmSync(join(policies, 'lists'), { recursive: true, force: true })
      await app.reload()
      t.equal(app.policyStatus.failure, null, `${name}: mended`)
    }
    t.equal(
      app.auditStatus.lastSeq,
      Object.keys(badPolicies).length,
      'one record a decision, none for a refused policy',
    )
  },
)

t.test('a server that is given a bad policy says the same, does not start and leaves no trace', async (t) => {
  for (const [name, { text, list, message }] of Object.entries(badPolicies)) {
    const policies = tempFolder(t, { 'support.policy': POLICY })
    writeFileSync(join(policies, 'bad.policy'), text)
    if (list !== undefined) writeList(policies, list)
    const data = join(policies, 'data')
    const config = readConfig(['--policies', policies, '--data', data, '--listen', '127.0.0.1:0'], {})
    const error = await startApp(config, new TestLog()).catch((cause: unknown) => cause)
    t.match(error, { name: 'PoliciesRefused' }, name)
    t.equal(firstLine((error as Error).message), `bad.policy:${message}`, name)
    t.notOk(existsSync(data), `${name}: the data folder is not made`)
  }
})

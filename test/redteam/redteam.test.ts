import t from 'tap'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { decide } from '../../src/engine/decide.js'
import { checkBundle } from '../../src/language/check.js'
import type { JsonObject } from '../../src/model/json.js'
import { parseJsonObject } from '../../src/model/parse-json.js'

/** Ways past a denial that were open once, by the condition of the rule that denies. Every call must be denied. */
interface Evasion {
  readonly condition: string
  /** Calls by what they hide; each is the arguments as JSON. */
  readonly calls: Readonly<Record<string, string>>
}

const WRITES = 'not (sql(args.sql).statements subset of [select, explain]) or sql(args.sql).tables intersects [users]'
const ONLY_CUSTOMERS = 'any r in recipients(args): domain(r) not in ["acme.example"]'

const evasions: readonly Evasion[] = [
  {
    condition: WRITES,
    calls: {
      'a comment in a comment, which MySQL ends early':
        '{"sql": "SELECT 1 /* /* */ UNION SELECT ssn FROM users -- */"}',
      'the same around a second statement': '{"sql": "SELECT 1; /* /* */ DELETE FROM orders; -- */"}',
      'a column called delete, a statement in T-SQL': '{"sql": "SELECT 1 DELETE FROM orders"}',
      'a table called shutdown, a statement in T-SQL': '{"sql": "SELECT id FROM orders shutdown"}',
    },
  },
  {
    condition: 'shell(args.command).programs contains "rm"',
    calls: {
      'a here-string': '{"command": "bash <<< \\"rm -rf /srv\\""}',
      'a here-document': '{"command": "sh <<EOF\\nrm -rf /srv\\nEOF"}',
      'a pipe': '{"command": "echo rm -rf /srv | sh"}',
      'input by option': '{"command": "bash -s <<< \\"rm x\\""}',
      'input by dash': '{"command": "sh - <<< \\"rm x\\""}',
      'input by file name': '{"command": "bash /dev/stdin <<< \\"rm x\\""}',
      'input of the shell itself': '{"command": ". /dev/stdin <<< \\"rm x\\""}',
      'a process substitution': '{"command": "source <(echo rm x)"}',
      'another personality': '{"command": "setarch x86_64 rm -rf /srv"}',
      'an init of containers': '{"command": "tini rm -rf /srv"}',
    },
  },
  {
    condition: 'path(args.path) under "/etc"',
    calls: {
      'the root of a process': '{"path": "/proc/self/root/etc/shadow"}',
      'the folder of a process': '{"path": "/proc/1/cwd/../etc/shadow"}',
      'an open file': '{"path": "/dev/fd/3"}',
      'dots with a parameter': '{"path": "/srv/..;/etc/passwd"}',
    },
  },
  {
    condition: 'not ip(url(args.url).host).global',
    calls: { 'a site-local address': '{"url": "http://[fec0::1]/"}', 'no range at all': '{"url": "http://[::2]/"}' },
  },
  {
    condition: ONLY_CUSTOMERS,
    calls: {
      'a URL before an address': '{"to": ["https://acme.example/@evil.example"]}',
      'a URL beside an address': '{"to": ["https://acme.example/,eve@evil.example"]}',
      'blind copies in capitals': '{"to": ["ann@acme.example"], "Bcc": "eve@evil.example"}',
      'copies in capitals': '{"to": [], "CC": ["eve@evil.example"]}',
    },
  },
]

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

function outcome(condition: string, args: JsonObject): string {
  const text = `policy p "" default allow\nrule R { when ${condition} deny }`
  const bundle = checkBundle({ policies: new Map([['p.policy', encode(text)]]), attachments: new Map() })
  const errors = bundle.diagnostics.filter(({ severity }) => severity === 'error')
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'))
  const call = {
    requestId: '',
    tenant: 'default',
    agent: { id: 'a', labels: {} },
    principal: null,
    sessionId: '',
    delegationChain: [],
    tool: 'tool',
    environment: 'prod',
    arguments: args,
    context: {},
  }
  return decide(call, { nowMs: 0 }, compilePolicySet(bundle, 'default')).outcome
}

for (const { condition, calls } of evasions) {
  t.test(condition, (t) => {
    for (const [hides, args] of Object.entries(calls)) t.equal(outcome(condition, parseJsonObject(args)), 'DENY', hides)
    t.end()
  })
}

t.test('what is harmless still passes', (t) => {
  const harmless: readonly (readonly [string, string])[] = [
    [WRITES, '{"sql": "SELECT id /* one comment */ FROM orders /* and another */"}'],
    ['shell(args.command).programs contains "rm"', '{"command": "sh build.sh && ls /proc"}'],
    ['path(args.path) under "/etc"', '{"path": "/proc/cpuinfo"}'],
    ['not ip(url(args.url).host).global', '{"url": "http://[2606:4700::1111]/"}'],
    [ONLY_CUSTOMERS, '{"to": "Ann <ann@acme.example>; Bob <bob@ACME.example>"}'],
  ]
  for (const [condition, args] of harmless) t.equal(outcome(condition, parseJsonObject(args)), 'ALLOW', args)
  t.end()
})

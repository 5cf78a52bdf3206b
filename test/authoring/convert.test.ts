import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Random } from '../../bench/demo/random.js'
import { convertBundle } from '../../src/authoring/convert/convert.js'
import { readDailyWindow } from '../../src/authoring/convert/daily-window.js'
import { compilePolicySet } from '../../src/compiler/compile.js'
import { recipientsOf } from '../../src/compiler/functions/recipients.js'
import { decide } from '../../src/engine/decide.js'
import { checkBundle } from '../../src/language/check.js'
import type { JsonObject, JsonValue } from '../../src/model/json.js'
import { parseJson } from '../../src/model/parse-json.js'
import { type Bundle, type BundleCall, decideBundle } from './bundle-evaluator.js'

const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/bundles/', import.meta.url))
const CUSTOMER_DOMAINS = ['acme.example', 'globex.example']
const NAMES = ['support', 'analytics', 'marketing'] as const
const LISTS = new Map([['customer_domains', 'customer-domains.txt']])

const ADDRESSES = [
  'ann@acme.example',
  'Bob <bob@GLOBEX.example>',
  'eve@evil.example',
  'ann@acme.example, eve@evil.example',
  'ann@acme.example; bob@globex.example',
  'no address',
  '',
  'x@acme.example.evil.example',
]
const TEXTS = [
  'SELECT count(id) FROM orders',
  'SELECT * FROM Users',
  'select id from users_daily LIMIT 10',
  'SELECT max(updated_at) FROM orders',
  'Drop Table x',
  'give me an EXPORT',
  'limit > 1000',
  'from "credit_cards"',
  'hello',
  '',
]

function converted(name: string): string {
  const conversion = convertBundle(parseJson(readFileSync(`${FIXTURES}${name}.json`)), { name, lists: LISTS })
  if (!conversion.ok) throw new Error(JSON.stringify(conversion.problems))
  return conversion.text
}

function checked(text: string) {
  const attachments = new Map([['customer-domains.txt', Buffer.from(CUSTOMER_DOMAINS.join('\n'))]])
  return checkBundle({ policies: new Map([['x.policy', Buffer.from(text)]]), attachments })
}

for (const name of NAMES) {
  t.test(`the ${name} bundle of the roadmap`, async (t) => {
    const text = converted(name)
    const golden = `${FIXTURES}${name}.policy`
    if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(golden, text)
    t.equal(text, readFileSync(golden, 'utf8'), 'converts to the golden text (UPDATE_GOLDEN=1 rewrites it)')

    const bundle = checked(text)
    t.same(
      bundle.diagnostics.filter((d) => d.severity === 'error'),
      [],
      'which checks',
    )

    const policySet = compilePolicySet(bundle, 'default')
    const json = JSON.parse(readFileSync(`${FIXTURES}${name}.json`, 'utf8')) as Bundle
    const random = new Random(7)
    const seen: Record<string, number> = {}
    const different: unknown[] = []
    for (let i = 0; i < 2_500; i++) {
      const call = randomCall(random)
      const expected = decideBundle(json, call, { customer_domains: CUSTOMER_DOMAINS })
      const decision = decide(
        {
          requestId: '',
          tenant: 'default',
          agent: { id: 'a', labels: {} },
          principal: null,
          sessionId: '',
          delegationChain: [],
          tool: call.tool,
          environment: call.environment,
          arguments: call.args as JsonObject,
          context: {},
        },
        { nowMs: call.nowMs },
        policySet,
      )
      seen[expected] = (seen[expected] ?? 0) + 1
      if (decision.outcome !== expected)
        different.push({ call, expected, got: decision.outcome, reason: decision.reason })
    }
    t.same(different.slice(0, 3), [], 'and decides as the bundle does')
    t.ok(
      Object.values(seen).every((count) => count >= 25) && Object.keys(seen).length >= 2,
      `on calls of each kind ${JSON.stringify(seen)}`,
    )
  })
}

/** Calls that hit the rules, miss them by little, and bring values that are missing or of another kind. */
function randomCall(random: Random): BundleCall {
  const args: Record<string, JsonValue> = {}
  const maybe = (share: number, key: string, make: () => JsonValue): void => {
    if (random.next() < share) args[key] = make()
  }
  const tool = random.pick([
    'delete_customer',
    'issue_refund',
    'update_customer_account',
    'query_database',
    'query_database',
    'send_email',
    'other',
  ])
  if (tool === 'issue_refund' || random.next() < 0.1) {
    maybe(0.9, 'amount', () => random.pick<JsonValue>([0, 99.99, 100, 100.01, 5_000, -1, '500', null, [200]]))
  }
  if (tool === 'query_database' || random.next() < 0.1) {
    maybe(0.9, random.pick(['sql', 'query']), () => random.pick(TEXTS))
    maybe(0.2, 'options', () => ({ deep: [1, { deeper: random.pick(TEXTS) }], export: true }))
  }
  if (tool === 'send_email' || random.next() < 0.1) {
    maybe(0.95, random.pick(['to', 'recipients']), () =>
      random.next() < 0.2
        ? random.pick<JsonValue>([random.pick(ADDRESSES), 7, {}, [7], []])
        : Array.from({ length: random.pick([1, 2, 10, 11, 100, 101]) }, (_, i) =>
            random.next() < 0.01 ? random.pick(ADDRESSES) : `u${i}@acme.example`,
          ),
    )
    maybe(0.1, 'bcc', () => [random.pick(ADDRESSES)])
    maybe(0.05, 'cc', () => null)
  }
  // A week around a change of clocks in New York, down to the minute before nine and five.
  const nowMs = Date.UTC(2026, 2, 6) + random.int(0, 7 * 24 * 60 - 1) * 60_000
  return { tool, environment: random.pick(['prod', 'prod', 'staging']), args, nowMs }
}

t.test('what the converter does not understand is a problem with its place', async (t) => {
  const rule = { id: 'R', match: { tool_name: 't' }, outcome: 'DENY' }
  const cases: readonly (readonly [JsonValue, string, RegExp])[] = [
    [[], '$', /must be an object/],
    [
      { rules: [{ ...rule, match: { tool_name: 'a\u001b[31m' } }] },
      '$',
      /^cannot be said in the policy language: `on {3}tool "a\\u001b\[31m"`: .*control character.* \(POL2205\)$/,
    ],
    [{ rules: [{ ...rule, id: 'default' }] }, '$', /^cannot be said in the policy language: .* \(POL2003\)$/],
    [{}, '$.rules', /is missing/],
    [{ rules: [], version: 2 }, '$.version', /not known.*`rules`, `defaults`/],
    [
      { rules: [{ ...rule, when: { amount_over: 5 } }] },
      '$.rules[0].when.amount_over',
      /not known.*`amount_greater_than`/,
    ],
    [{ rules: [{ ...rule, match: { agent: 'x' } }] }, '$.rules[0].match.agent', /not known/],
    [{ rules: [{ ...rule, priority: 1 }] }, '$.rules[0].priority', /not known/],
    [{ rules: [{ ...rule, exceptions: { roles: ['x'] } }] }, '$.rules[0].exceptions.roles', /not known/],
    [{ rules: [{ ...rule, 'odd key': 1 }] }, '$.rules[0]["odd key"]', /not known/],
    [{ rules: [{ ...rule, outcome: 'deny' }] }, '$.rules[0].outcome', /must be ALLOW, DENY or REQUIRE_APPROVAL/],
    [
      { rules: [{ ...rule, outcome: 'ALLOW', approver_role: 'x' }] },
      '$.rules[0].approver_role',
      /means nothing beside/,
    ],
    [
      { rules: [{ ...rule, outcome: 'ALLOW', exceptions: { approver_role: 'x' } }] },
      '$.rules[0].exceptions',
      /means nothing beside/,
    ],
    [
      { rules: [{ ...rule, when: { amount_greater_than: '100' } }] },
      '$.rules[0].when.amount_greater_than',
      /must be a number/,
    ],
    [
      { rules: [{ ...rule, when: { amount_greater_than: 1e21 } }] },
      '$.rules[0].when.amount_greater_than',
      /below 2\^53/,
    ],
    [{ rules: [{ ...rule, when: { contains_any: [] } }] }, '$.rules[0].when.contains_any', /is empty/],
    [{ rules: [{ ...rule, when: { contains_any: ['a', 1] } }] }, '$.rules[0].when.contains_any[1]', /must be a text/],
    [{ rules: [{ ...rule, when: { time_outside: '9-17' } }] }, '$.rules[0].when.time_outside', /no window of the form/],
    [{ rules: [rule, rule] }, '$.rules[1].id', /another rule is called `R` too/],
    [{ rules: [{ ...rule, id: 'not a name' }] }, '$.rules[0].id', /is no name/],
    [{ rules: [], defaults: { outcome: 'MAYBE' } }, '$.defaults.outcome', /must be/],
  ]
  for (const [json, path, message] of cases) {
    const conversion = convertBundle(json, { name: 'x', lists: new Map() })
    if (conversion.ok) t.fail(`${path} was converted`)
    else t.match(conversion.problems, [{ path, message }], path)
  }
  const many = convertBundle(
    {
      rules: [
        { ...rule, a: 1, b: 2 },
        { id: 'S', outcome: 'X' },
      ],
    },
    { name: 'x', lists: new Map() },
  )
  t.equal(many.ok ? 0 : many.problems.length, 3, 'all problems come at once')
})

t.test('odd but understood bundles convert and check', async (t) => {
  const conversion = convertBundle(
    {
      rules: [
        {
          id: 'GLOB',
          description: 'quotes " and \\ and\nbreaks',
          match: { tool_name: 'db.*', environment: 'prod-*' },
          outcome: 'ALLOW',
        },
        {
          id: 'ODD_TOOL',
          match: { tool_name: 'any tool/x' },
          outcome: 'REQUIRE_APPROVAL',
          approver_role: 'Head of Sales',
        },
        { id: 'NO_ROLE', when: { amount_greater_than: 1e-7 }, outcome: 'REQUIRE_APPROVAL' },
        {
          id: 'SLASH',
          when: { table_contains_any: ['a/b.c'], contains_any: ['ÄÖ'] },
          outcome: 'DENY',
          exceptions: { approver_role: 'r' },
        },
        {
          id: 'DOMAINS',
          when: { recipient_domain_not_in: ['known', 'Own.Example'], time_outside: '22:00-6am UTC' },
          outcome: 'DENY',
        },
      ],
      defaults: { outcome: 'REQUIRE_APPROVAL' },
    },
    { name: 'odd', lists: new Map() },
  )
  if (!conversion.ok) throw new Error(JSON.stringify(conversion.problems))
  t.same(conversion.emptyLists, ['known'])
  t.match(conversion.text, 'default require approval from approver')
  t.match(conversion.text, '  require approval from approver')
  t.same(
    checked(conversion.text).diagnostics.filter((d) => d.severity === 'error'),
    [],
  )
})

t.test('windows of the day', async (t) => {
  const cases: readonly (readonly [string, number, number, string])[] = [
    ['9am-5pm EST', 540, 1020, 'America/New_York'],
    ['9:30am - 5:15pm PST', 570, 1035, 'America/Los_Angeles'],
    ['12am-12pm UTC', 0, 720, 'UTC'],
    ['22:00-06:00 Europe/Berlin', 1320, 360, 'Europe/Berlin'],
  ]
  for (const [text, fromMinute, untilMinute, zone] of cases)
    t.same(readDailyWindow(text), { fromMinute, untilMinute, zone }, text)
  for (const text of [
    '',
    '9am',
    '9am-5pm',
    '13pm-2pm EST',
    '9am-9am EST',
    '9am-25:00 EST',
    '9am-5pm XYZ',
    '0am-5am UTC',
    '00:00-24:00 UTC',
  ]) {
    t.type(readDailyWindow(text), 'string', `\`${text}\` is refused`)
  }
})

t.test('recipients, however they are written', async (t) => {
  const cases: readonly (readonly [JsonValue | undefined, readonly string[] | undefined])[] = [
    [{ to: 'a@x' }, ['a@x']],
    [{ to: ['a@x', 'b@x'], cc: null, bcc: 'c@x' }, ['a@x', 'b@x', 'c@x']],
    [{ to: 'a@x, b@x;c@x' }, ['a@x', 'b@x', 'c@x']],
    [{ to: '"Doe, Jane" <j@x>, b@x' }, ['"Doe, Jane" <j@x>', 'b@x']],
    [{ recipients: [{ email: 'a@x', name: 'A' }, { address: 'b@x' }] }, ['a@x', 'b@x']],
    [{ to: [] }, []],
    [{ to: '' }, ['']],
    [{ to: '"a@x, b@x' }, undefined],
    [{ to: 'a@x, <b@x, c@x' }, undefined],
    [{ to: [7] }, undefined],
    [{ to: [{ email: 'a@x', address: 'b@x' }] }, undefined],
    [{ to: null }, undefined],
    [{ subject: 'x' }, undefined],
    [['a@x'], undefined],
    [undefined, undefined],
  ]
  for (const [args, expected] of cases) t.same(recipientsOf(args), expected, JSON.stringify(args))
})

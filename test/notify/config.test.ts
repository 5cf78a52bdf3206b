import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NotifyConfigError, openChannels, readNotifyFile } from '../../src/notify/index.js'
import { secretOf } from './support.js'

const ENV = { HOOK_SECRET: secretOf('a'), SMTP_PASSWORD: 'pass', SECRET_URL: 'https://hooks.example.com/T0P-SECRET' }

function read(
  test: { testdir(files: Record<string, string>): string },
  content: unknown,
): ReturnType<typeof readNotifyFile> {
  const folder = test.testdir({ 'next-secret': `${secretOf('b')}\n`, empty: '', short: 'whsec_T0P-SECRET' })
  const file = join(folder, 'notify.json')
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return readNotifyFile(file, ENV)
}

const FULL = {
  link: 'https://portcullis.example.com/approvals/{id}',
  channels: [
    { type: 'log', name: 'log' },
    {
      type: 'webhook',
      name: 'siem',
      kinds: ['kill.*', 'approval.glass-broken'],
      tenants: ['acme'],
      url: { env: 'SECRET_URL' },
      secrets: [{ env: 'HOOK_SECRET' }, { file: 'next-secret' }],
    },
    {
      type: 'webhook',
      name: 'inner',
      url: 'http://10.1.2.3/hook',
      secrets: [{ env: 'HOOK_SECRET' }],
      allow: ['10.1.0.0/16'],
    },
    {
      type: 'email',
      name: 'people',
      smtp: { host: 'smtp.example.com', user: 'portcullis', password: { env: 'SMTP_PASSWORD' } },
      from: 'portcullis@example.com',
      to: ['desk@example.com'],
      roles: { 'finance-manager': ['ann@example.com'] },
    },
  ],
}

t.test('a file with everything in it', async (t) => {
  const config = read(t, FULL)
  t.match(config.channels, [
    { type: 'log', name: 'log', kinds: ['*'], tenants: null },
    { name: 'siem', url: new URL('https://hooks.example.com/T0P-SECRET'), tenants: ['acme'], ca: null },
    { name: 'inner', allowed: { length: 1 } },
    {
      smtp: { host: 'smtp.example.com', port: 587, tls: 'starttls', login: { password: 'pass' } },
      to: ['desk@example.com'],
    },
  ])
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const couriers = openChannels(config, { log, nowMs: () => 0 })
  t.strictSame(
    couriers.map(({ name }) => name),
    ['log', 'siem', 'inner', 'people'],
  )
  t.strictSame(
    couriers.map((courier) => courier.accepts('approval.opened', 'acme')),
    [true, false, true, true],
  )
  t.strictSame(
    couriers.map((courier) => courier.accepts('kill.engaged', 'other')),
    [true, false, true, true],
  )
  for (const courier of couriers) await courier.close()
})

t.test('each problem is named by its place, and no secret is', (t) => {
  const [, siem, inner, people] = FULL.channels
  const one = (channel: unknown): object => ({ channels: [channel] })
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ['no JSON', '{"channels": [', /notify\.json: .*byte/],
    ['a member twice', '{"channels": [], "channels": []}', /notify\.json: /],
    ['nothing', {}, /\$\.channels: is missing/],
    ['no channels', { channels: [] }, /\$\.channels: must be a list that is not empty/],
    ['an unknown member', { ...FULL, chanels: [] }, /\$\.chanels: is not known here; there are link, channels/],
    ['a link that is none', { ...FULL, link: 'javascript:alert(1)' }, /\$\.link: must be an https/],
    [
      'an unknown type',
      one({ type: 'pigeon', name: 'x' }),
      /\$\.channels\[0\]\.type: "pigeon" is none of log, webhook, email/,
    ],
    [
      'a member of another type',
      one({ type: 'log', name: 'x', url: 'y' }),
      /\$\.channels\[0\]\.url: is not known here/,
    ],
    ['a name twice', { channels: [inner, inner] }, /\$\.channels\[1\]\.name: "inner" is taken already/],
    ['a name that is none', one({ type: 'log', name: 'Über\n' }), /\.name: must be a name of a-z/],
    [
      'a kind that is none',
      one({ type: 'log', name: 'x', kinds: ['aproval.*'] }),
      /"aproval\.\*" matches no kind: there are approval\.opened/,
    ],
    ['no kinds', one({ type: 'log', name: 'x', kinds: [] }), /\.kinds: must be a list that is not empty/],
    [
      'a secret in the file',
      one({ ...siem, secrets: [secretOf('T')] }),
      /\.secrets\[0\]: must be \{"file": "path"\} or/,
    ],
    ['a secret twice', one({ ...siem, secrets: [{ env: 'A', file: 'b' }] }), /\.secrets\[0\]: must be \{"file"/],
    [
      'a variable that is not set',
      one({ ...siem, secrets: [{ env: 'NOPE' }] }),
      /\.secrets\[0\]\.env: the variable NOPE is not set/,
    ],
    ['a variable of ours', one({ ...siem, secrets: [{ env: 'PORTCULLIS_X' }] }), /must not begin with PORTCULLIS_/],
    [
      'a file that is not there',
      one({ ...siem, secrets: [{ file: 'nope' }] }),
      /the file "nope" cannot be read: ENOENT/,
    ],
    ['an empty file', one({ ...siem, secrets: [{ file: 'empty' }] }), /the file "empty" is empty/],
    [
      'a secret that is none',
      one({ ...siem, secrets: [{ file: 'short' }] }),
      /\.secrets\[0\]: must be whsec_ and then base64/,
    ],
    ['three secrets', one({ ...siem, secrets: Array(3).fill({ env: 'HOOK_SECRET' }) }), /holds more than two/],
    ['no secret', one({ ...siem, secrets: [] }), /\.secrets: must be a list that is not empty/],
    [
      'http to anywhere',
      one({ ...siem, url: 'http://hooks.example.com/T0P-SECRET' }),
      /\.url: must be an https:\/\/ URL: http/,
    ],
    ['another scheme', one({ ...siem, url: 'ftp://hooks.example.com/T0P-SECRET' }), /\.url: must be an https:\/\/ URL/],
    ['a password in the URL', one({ ...siem, url: 'https://u:T0P-SECRET@x.example/' }), /\.url: must hold no user/],
    ['a network that is none', one({ ...inner, allow: ['10.1/99'] }), /\.allow\[0\]: must be an address or a network/],
    ['nobody to tell', one({ ...people, to: undefined, roles: undefined }), /\$\.channels\[0\]: tells nobody/],
    ['an address that is none', one({ ...people, to: ['a@b.example\r\nBcc: c@d'] }), /\.to\[0\]: must be an address/],
    ['a display name', one({ ...people, from: 'Portcullis <p@example.com>' }), /\.from: must be an address/],
    ['half a login', one({ ...people, smtp: { host: 'x', user: 'u' } }), /\.smtp: has one of user and password/],
    [
      'a password in the clear',
      one({ ...people, smtp: { ...(people as { smtp: object }).smtp, tls: 'none' } }),
      /\.tls: none would send/,
    ],
    ['a port that is none', one({ ...people, smtp: { host: 'x', port: 0 } }), /\.port: must be a whole number/],
  ]
  for (const [name, content, expected] of cases) {
    try {
      read(t, content)
      t.fail(name)
    } catch (error) {
      t.type(error, NotifyConfigError, name)
      t.match((error as Error).message, expected, name)
      t.notMatch((error as Error).message, /T0P-SECRET|YWFh|VFRU/, name)
    }
  }
  t.throws(() => readNotifyFile('/nowhere/notify.json', {}), /\/nowhere\/notify\.json: ENOENT/)
  const several = {
    channels: [
      { type: 'webhook', name: '', url: 'x' },
      { type: 'email', name: 'a' },
    ],
  }
  try {
    read(t, several)
    t.fail('several')
  } catch (error) {
    t.ok((error as Error).message.split('\n').length >= 6, (error as Error).message)
  }
  t.end()
})

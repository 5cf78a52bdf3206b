import type { ViewName } from '../../src/language/vocabulary.js'
import type { Parts, Views } from '../reference/views.js'

/**
 * Texts of the corpus that are read as SQL, addresses, paths and so on, with what stands in them, written by hand: the
 * evaluator reads this table and needs no parser. Null: the text does not parse, so whatever is read from it is unknown.
 */
export interface Specimen {
  readonly text: string
  readonly reads: Parts | null
}

const sql = (
  text: string,
  statements: readonly string[],
  tables: readonly string[],
  more: { readonly limit?: boolean; readonly where?: boolean; readonly multiple?: boolean } = {},
): Specimen => {
  const { limit = true, where = true, multiple = false } = more
  return { text, reads: { statements, tables, has_limit: limit, has_where: where, multiple } }
}
const url = (
  text: string,
  [scheme, host, domain, port, path]: [string, string, string, number, string],
  more: { readonly has_credentials?: boolean; readonly is_ip?: boolean } = {},
): Specimen => ({
  text,
  reads: { scheme, host, domain, port, path, has_credentials: false, is_ip: false, ...more },
})
const email = (text: string, local: string, domain: string, registrable: string): Specimen => ({
  text,
  reads: { address: `${local}@${domain}`, local, domain, registrable },
})
const path = (text: string, resolved: string, name: string, extension: string, escapes = false): Specimen => ({
  text,
  reads: { text: resolved, name, extension, absolute: resolved.startsWith('/'), escapes },
})
const ip = (text: string, version: number, is: 'private' | 'loopback' | 'global'): Specimen => ({
  text,
  reads: { text, version, private: is === 'private', loopback: is === 'loopback', global: is === 'global' },
})
const shell = (
  text: string,
  programs: readonly string[],
  more: { readonly multiple?: boolean; readonly pipes?: boolean; readonly redirects?: boolean } = {},
): Specimen => ({
  text,
  reads: { programs, multiple: false, pipes: false, redirects: false, ...more },
})
const broken = (text: string): Specimen => ({ text, reads: null })

export const SPECIMENS = {
  sql: [
    sql('SELECT name FROM users LIMIT 5', ['select'], ['users']),
    sql('select * from orders', ['select'], ['orders'], { limit: false }),
    sql('DELETE FROM users WHERE id = 7', ['delete'], ['users']),
    sql('DELETE FROM orders', ['delete'], ['orders'], { where: false }),
    sql('UPDATE accounts SET locked = true', ['update'], ['accounts'], { where: false }),
    sql('DROP TABLE users', ['drop'], ['users']),
    sql('SELECT 1 LIMIT 1; DROP TABLE orders', ['select', 'drop'], ['orders'], { multiple: true }),
    sql('INSERT INTO audit_log VALUES (1)', ['insert'], ['audit_log']),
    broken('not ( sql'),
    broken('SELEKT * FROM users'),
    broken('DELETE FROM users WHERE ('),
  ],
  url: [
    url('https://api.example.com/v1/pay', ['https', 'api.example.com', 'example.com', 443, '/v1/pay']),
    url('HTTP://Example.COM:8080/', ['http', 'example.com', 'example.com', 8080, '/']),
    url('https://ann:pw@shop.example.org/cart', ['https', 'shop.example.org', 'example.org', 443, '/cart'], {
      has_credentials: true,
    }),
    url('http://127.0.0.1/admin', ['http', '127.0.0.1', '127.0.0.1', 80, '/admin'], { is_ip: true }),
    broken('http://'),
    broken('https://exa mple.com/'),
    broken('no address at all'),
  ],
  email: [
    email('ann@example.com', 'ann', 'example.com', 'example.com'),
    email('Bob <bob@Mail.Example.org>', 'bob', 'mail.example.org', 'example.org'),
    email('CEO@EXAMPLE.COM', 'ceo', 'example.com', 'example.com'),
    email('eve@example.net', 'eve', 'example.net', 'example.net'),
    broken('nobody'),
    broken('ann@@example.com'),
    broken('ann@'),
  ],
  path: [
    path('/srv/data/report.csv', '/srv/data/report.csv', 'report.csv', 'csv'),
    path('/srv/data/../secrets/key.pem', '/srv/secrets/key.pem', 'key.pem', 'pem'),
    path('/srv/database', '/srv/database', 'database', ''),
    path('/etc/passwd', '/etc/passwd', 'passwd', ''),
    path('/srv/data/', '/srv/data', 'data', ''),
    broken('~/notes.txt'),
    broken('/srv/\u0000data'),
  ],
  ip: [
    ip('10.1.2.3', 4, 'private'),
    ip('192.168.7.9', 4, 'private'),
    ip('8.8.8.8', 4, 'global'),
    ip('127.0.0.1', 4, 'loopback'),
    broken('300.1.2.3'),
    broken('localhost'),
    broken(''),
  ],
  shell: [
    shell('ls -la /srv', ['ls']),
    shell('cat notes.txt | grep todo', ['cat', 'grep'], { multiple: true, pipes: true }),
    shell('rm -rf /tmp/x && echo done', ['rm', 'echo'], { multiple: true }),
    shell('echo hi > out.txt', ['echo'], { redirects: true }),
    broken("echo 'no end"),
    broken('ls |'),
    broken('if true; then'),
  ],
  json: [
    { text: '{"action":"close","amount":12}', reads: { action: 'close', amount: 12 } },
    { text: '{"action":"open"}', reads: { action: 'open' } },
    { text: '{"action":7,"amount":"12"}', reads: { action: 7, amount: '12' } },
    broken('{"action":"close","action":"open"}'),
    broken('{broken'),
    broken(''),
  ],
} as const satisfies Record<ViewName, readonly Specimen[]>

/** Host of an address, for `domain(…)`. */
export const DOMAINS: ReadonlyMap<string, string | undefined> = new Map<string, string | undefined>([
  ['ann@example.com', 'example.com'],
  ['eve@example.net', 'example.net'],
  ['CEO@EXAMPLE.COM', 'example.com'],
  ['Bob <bob@Mail.Example.org>', 'mail.example.org'],
  ['ann@@example.com', undefined],
  ['ann@', undefined],
  ['', undefined],
])

/** Patterns that JavaScript and RE2 read the same way, on texts of a line. */
export const PATTERNS = ['^k[0-9]+$', 'URG', '[aeiou]{2}', '(pay|refund)', '^$', '\\d\\d'] as const

/** Reads the table; a text that it does not have is a fault of the generator. */
export const SPECIMEN_VIEWS: Views = {
  view(name, text) {
    const specimens: readonly Specimen[] = SPECIMENS[name]
    const specimen = specimens.find((one) => one.text === text)
    if (specimen === undefined) throw new Error(`no ${name} specimen ${JSON.stringify(text)}`)
    return specimen.reads ?? undefined
  },
  domain(text) {
    if (!DOMAINS.has(text)) throw new Error(`no domain specimen ${JSON.stringify(text)}`)
    return DOMAINS.get(text)
  },
  matches(pattern, flags, text) {
    if (!(PATTERNS as readonly string[]).includes(pattern)) throw new Error(`no specimen of a pattern: /${pattern}/`)
    return new RegExp(pattern, `u${flags}`).test(text)
  },
  inRange(parts, range) {
    const [base, bits] = range.split('/') as [string, string | undefined]
    const width = 2 ** (32 - Number(bits ?? 32))
    return Math.floor(toNumber(String(parts['text'])) / width) === Math.floor(toNumber(base) / width)
  },
  under(parts, folder) {
    const text = String(parts['text'])
    return text === folder || text.startsWith(`${folder}/`)
  },
}

/** Of an IPv4 address: the corpus has no other ranges. */
function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

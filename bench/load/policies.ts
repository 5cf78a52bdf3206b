import { type Draw, seededDraw } from '../../test/engine/generate.js'

/**
 * Policies as a company with many tools would write them: a file of a thousand rules a department, ten rules a tool, every
 * tool declared, a list and a template a file, and no two rules alike. About 190 bytes and 30 tokens a rule; the checker
 * has nothing to say about any of it.
 */
export function policyTexts(rules: number): ReadonlyMap<string, string> {
  const files = Math.ceil(rules / RULES_PER_FILE)
  const texts = new Map<string, string>()
  for (let file = 0; file < files; file++) {
    const count = Math.min(RULES_PER_FILE, rules - file * RULES_PER_FILE)
    texts.set(`department-${file}.policy`, department(file, count, seededDraw(file + 1)))
  }
  return texts
}

/** Where each rule of a text starts, so that one of them can be edited. */
export function ruleStarts(text: string): readonly number[] {
  return [...text.matchAll(/^rule /gm)].map(({ index }) => index)
}

export const RULES_PER_FILE = 1_000
const RULES_PER_TOOL = 10

interface Kind {
  readonly verb: string
  readonly parameters: string
  readonly tag: string
  readonly conditions: readonly ((draw: Draw, number: number, file: number) => string)[]
}

const CURRENCIES = ['EUR', 'USD', 'GBP', 'CHF', 'SEK']
const TABLES = ['users', 'orders', 'cards', 'payroll', 'contracts', 'leads', 'tickets', 'audit_log']
const HOSTS = ['example.com', 'partner.example', 'internal.example', 'cdn.example', 'files.example']
const ROLES = ['manager', 'finance', 'security-oncall', 'data-governance-lead', 'legal']
const REGIONS = ['eu', 'us', 'apac', 'latam']
const ENVIRONMENTS = ['prod', 'staging', 'dev']

const KINDS: readonly Kind[] = [
  {
    verb: 'refund',
    parameters: 'order_id: string, amount: number, currency: string, reason: string',
    tag: 'money',
    conditions: [
      (_, n) => `args.amount > ${n + 50}`,
      (draw, n) => `args.amount > ${n + 20} and args.currency == "${pick(draw, CURRENCIES)}"`,
      (draw, n) => `args.currency in ["${pick(draw, CURRENCIES)}", "DKK"] and args.amount >= ${n + 5}`,
      (_, n) => `args.amount > ${n + 10} and not (now in 09:00..17:00 "Europe/Berlin" on mon..fri)`,
      (draw, n) => `lower(args.reason) contains "${pick(draw, TABLES)}" or args.amount > ${n + 400}`,
    ],
  },
  {
    verb: 'send_email',
    parameters: 'to: list<string>, subject: string, body: string',
    tag: 'egress',
    conditions: [
      (_, n) => `count(args.to) > ${n + 3}`,
      (_, n, file) => `count(args.to) > ${n + 2} and any r in args.to: domain(r) not in own_domains_${file}`,
      (draw, n) => `args.subject contains "${pick(draw, TABLES)} ${n}"`,
      (draw, n) => `args.body contains any of ["${pick(draw, TABLES)}-${n}", "password", "secret"]`,
      (_, n) => `length(args.body) > ${n + 500} and agent.team != "support"`,
    ],
  },
  {
    verb: 'query',
    parameters: 'sql: string, max: number',
    tag: 'data',
    conditions: [
      (draw, n) => `sql(args.sql).tables intersects [${pick(draw, TABLES)}, table_${n}]`,
      (_, n) => `sql(args.sql).statements contains any of [insert, update, delete] and args.max > ${n}`,
      (_, n) => `args.max > ${n + 1000}`,
      (_, n) => `sql(args.sql).tables contains "export_${n}" and principal.team == "sales"`,
    ],
  },
  {
    verb: 'fetch',
    parameters: 'url: string, method: string, retries: number',
    tag: 'egress',
    conditions: [
      (draw, n) => `url(args.url).host == "${pick(draw, HOSTS)}" and args.retries > ${n}`,
      (_, n) => `args.method in ["POST", "PUT"] and url(args.url).path starts with "/v${n}/"`,
      (draw, n) => `url(args.url).domain != "${pick(draw, HOSTS)}" and not (args.retries <= ${n + 2})`,
      (_, n) => `args.url matches /^https:.*\\/item-${n}$/`,
    ],
  },
  {
    verb: 'write_file',
    parameters: 'path: string, content: string, mode: number',
    tag: 'files',
    conditions: [
      (_, n) => `path(args.path) under "/srv/share-${n}"`,
      (_, n) => `args.mode > ${n} and path(args.path).extension in [exe, sh, bat]`,
      (draw, n) => `args.content contains "${pick(draw, TABLES)} of ${n}" or args.mode == ${n + 7}`,
    ],
  },
]

const EFFECTS: readonly ((draw: Draw) => string)[] = [
  () => 'deny',
  (draw) => `deny "Not for agents of ${pick(draw, TABLES)}"`,
  (draw) => `deny except approval from ${pick(draw, ROLES)}`,
  (draw) => `require approval from ${pick(draw, ROLES)}`,
  (draw) => `require approval from ${pick(draw, ROLES)} within ${5 + draw.int(55)}m`,
  (draw) => `require approval from ${pick(draw, ROLES)} then from ciso within 2h else deny`,
  () => 'allow',
  () => 'allow with mask result.email, max_rows 1000',
]

const TITLES = ['needs a second look', 'is not for agents', 'waits for a person', 'only inside the department']

function department(file: number, rules: number, draw: Draw): string {
  const tools = Array.from({ length: Math.ceil(rules / RULES_PER_TOOL) }, (_, at) => ({
    name: `dep${file}.unit${Math.floor(at / KINDS.length)}.${kindOf(at).verb}`,
    kind: kindOf(at),
  }))
  const head = [
    `policy department_${file} "Rules of department ${file}"\ndefault deny`,
    `list own_domains_${file} = ["department-${file}.example", "example.com"]`,
    tools.map(({ name, kind }) => `tool ${name} { ${kind.parameters} } tags [${kind.tag}]`).join('\n'),
    `template large_amount_${file}(name, limit, role) "Large amounts wait" {\n  on tool name\n  when args.amount > limit\n  require approval from role\n}`,
  ]
  const written = Array.from({ length: rules }, (_, at) => {
    const { name, kind } = tools[at % tools.length]!
    const id = `D${file}_${String(at).padStart(4, '0')}`
    if (kind.verb === 'refund' && draw.int(20) === 0) {
      return `use large_amount_${file}(${name}, ${1_000 + at}, ${pick(draw, ROLES)}) as ${id}`
    }
    return rule(id, name, kind, at, file, draw)
  })
  return `${[...head, ...written].join('\n\n')}\n`
}

const withoutOr = (condition: string): string => (/ or |any /.test(condition) ? `(${condition})` : condition)
const kindOf = (tool: number): Kind => KINDS[tool % KINDS.length]!
const pick = <T>(draw: Draw, items: readonly T[]): T => items[draw.int(items.length)]!

function rule(id: string, tool: string, kind: Kind, at: number, file: number, draw: Draw): string {
  const lines = [`rule ${id} "${kind.verb} ${pick(draw, TITLES)}" {`]
  const env = draw.int(3) === 0 ? '' : `, env ${pick(draw, ENVIRONMENTS)}`
  const agent = draw.int(4) === 0 ? `, agent team = ${pick(draw, TABLES)}` : ''
  lines.push(`  on   tool ${tool}${env}${agent}`)
  const condition = () => pick(draw, kind.conditions)(draw, at, file)
  const first = condition()
  const shape = draw.int(10)
  if (shape < 5) lines.push(`  when ${first}`)
  else if (shape < 7)
    lines.push(`  when ${withoutOr(first)} and agent.region in [${pick(draw, REGIONS)}, ${pick(draw, REGIONS)}]`)
  else if (shape < 9) lines.push(`  when not (${first}) and context.ticket != "${at}"`)
  else lines.push(`  when ${first}`, `  unless principal.team == "${pick(draw, TABLES)}" or context.emergency == true`)
  lines.push(`  ${pick(draw, EFFECTS)(draw)}`)
  if (draw.int(5) === 0) lines.push(`  severity ${pick(draw, ['low', 'medium', 'high', 'critical'])}`)
  if (draw.int(8) === 0) lines.push(`  tags [soc2:CC6.${draw.int(9)}, ${kind.tag}]`)
  return [...lines, '}'].join('\n')
}

import { Command, Option } from 'commander'
import type { AuditEvent, AuditPeriod, PortcullisClient } from '../../sdk/typescript/client.js'
import { instant, wholeNumber } from './call-options.js'
import { CommandFailed, type ExitCode, type Io, UsageError } from './command.js'
import { type ConnectionFlags, withConnection } from './connection.js'
import { overviewBox, percent } from './overview.js'
import { asking } from './server-client.js'
import { snakeCase } from './snake-case.js'
import { type Column, clean, jsonLine, type Terminal, table } from './terminal.js'

/** The most rows or events that the server gives at a time. */
const MAX_ROWS = 100

interface Flags extends ConnectionFlags {
  readonly json?: boolean
  readonly from?: number
  readonly until?: number
  readonly limit?: number
}
interface EventFlags extends Flags {
  readonly kind?: string
  readonly subject?: string
}
interface TailFlags extends Flags {
  readonly limit: number
  readonly follow: boolean
}
/** What a question comes to: JSON in the proto's spelling, and text for people. */
interface Answer {
  readonly json: unknown
  readonly text: string
}
/** A question about a period. */
interface Question {
  readonly name: string
  readonly about: string
  /** Rows of its rankings where `--limit` is left out; null for a question without. */
  readonly rows: number | null
  readonly ask: (client: PortcullisClient, period: AuditPeriod, to: Terminal) => Promise<Answer>
}

const QUESTIONS: readonly Question[] = [
  { name: 'overview', about: 'totals, top violations and riskiest agents', rows: 5, ask: overview },
  { name: 'totals', about: 'decisions by outcome', rows: null, ask: totals },
  { name: 'violations', about: 'rules that stopped most calls', rows: 10, ask: violations },
  { name: 'agents', about: 'agents that ran into most rules', rows: 10, ask: agents },
]

export function auditCommand(io: Io, end: (code: ExitCode) => void): Command {
  const audit = new Command('audit').description('ask a running server what was decided')
  for (const question of QUESTIONS) {
    const command = withPeriod(withServer(audit.command(question.name))).description(question.about)
    if (question.rows !== null) {
      const rows = new Option('--limit <rows>', 'rows of each ranking')
      command.addOption(rows.argParser(wholeNumber(1, MAX_ROWS)).default(question.rows))
    }
    command.action(async (flags: Flags) =>
      end(await asking(flags, async (client) => print(io, flags, await question.ask(client, periodOf(flags), io.out)))),
    )
  }
  withPeriod(withServer(audit.command('events')))
    .description('who did what to approvals, kill switches, keys, grants and lent seats, and why')
    .option('--kind <kind>', 'of one kind, such as `kill.engaged`, or of all that begin so, such as `kill`')
    .option('--subject <id>', 'about one approval, kill switch, key, grant or delegation')
    .addOption(new Option('--limit <events>', 'the latest so many').argParser(wholeNumber(1, MAX_ROWS)).default(50))
    .action(async (flags: EventFlags) => end(await asking(flags, (client) => events(io, client, flags))))
  withServer(audit.command('get'))
    .description('one decision by its id')
    .argument('<decision-id>')
    .action(async (id: string, flags: Flags) => end(await asking(flags, (client) => get(io, client, id, flags))))
  withServer(audit.command('tail'))
    .description('the latest decisions, then every new one')
    .addOption(
      new Option('-n, --limit <events>', 'past events to begin with').argParser(wholeNumber(0, 1_000)).default(10),
    )
    .option('--no-follow', `end after the past events, at most ${MAX_ROWS}`)
    .action(async (flags: TailFlags) => end(await asking(flags, (client) => tail(io, client, flags))))
  return audit
}

function withServer(command: Command): Command {
  return withConnection(command).option('--json', 'print JSON')
}

function withPeriod(command: Command): Command {
  const from = new Option('--from <instant>', 'begin of the period; seven days before its end where left out')
  const until = new Option('--until <instant>', 'end of the period, exclusive; now where left out')
  return command.addOption(from.argParser(instant)).addOption(until.argParser(instant))
}

function periodOf({ from, until, limit }: Flags): AuditPeriod {
  return {
    from: from === undefined ? undefined : new Date(from),
    until: until === undefined ? undefined : new Date(until),
    limit,
  }
}

async function print(io: Io, flags: Flags, answer: Answer): Promise<ExitCode> {
  await io.out.write(flags.json === true ? jsonLine(answer.json) : `${answer.text.trimEnd()}\n`)
  return 0
}

async function overview(client: PortcullisClient, period: AuditPeriod, to: Terminal): Promise<Answer> {
  const answer = await client.auditOverview(period)
  const dates = `${day(answer.from)} – ${day(answer.until)}`
  return { json: snakeCase(answer), text: overviewBox(answer, dates, to) }
}

async function totals(client: PortcullisClient, period: AuditPeriod, to: Terminal): Promise<Answer> {
  const answer = await client.auditTotals(period)
  const rows = [
    ['ALLOW', answer.allowed],
    ['REQUIRE_APPROVAL', answer.requireApproval],
    ['DENY', answer.denied],
    ['total', answer.total],
  ] as const
  const share = (count: number): string => (answer.total === 0 ? '–' : percent(count / answer.total))
  const columns: readonly Column[] = [{ title: 'outcome' }, right('decisions'), right('share')]
  const text = table(
    columns,
    rows.map(([name, count]) => [name, number(count), share(count)]),
    to,
  )
  return { json: snakeCase(answer), text }
}

async function violations(client: PortcullisClient, period: AuditPeriod, to: Terminal): Promise<Answer> {
  const answer = await client.auditTopViolations(period)
  const columns: readonly Column[] = [
    right('count'),
    right('agents'),
    { title: 'rule' },
    { title: 'policy' },
    { title: 'description', flexible: true },
  ]
  const rows = answer.map((violation) => [
    number(violation.count),
    number(violation.agents),
    clean(violation.ruleId),
    clean(violation.policy),
    clean(violation.description),
  ])
  return { json: snakeCase(answer), text: rows.length === 0 ? 'none' : table(columns, rows, to) }
}

async function agents(client: PortcullisClient, period: AuditPeriod, to: Terminal): Promise<Answer> {
  const answer = await client.auditRiskyAgents(period)
  const columns: readonly Column[] = [
    { title: 'agent', flexible: true },
    right('violations'),
    right('decisions'),
    right('rate'),
  ]
  const rows = answer.map((agent) => [
    clean(agent.agent),
    number(agent.violations),
    number(agent.decisions),
    percent(agent.violationRate),
  ])
  return { json: snakeCase(answer), text: rows.length === 0 ? 'none' : table(columns, rows, to) }
}

function right(title: string): Column {
  return { title, align: 'right' }
}

async function get(io: Io, client: PortcullisClient, id: string, flags: Flags): Promise<ExitCode> {
  const event = await client.auditGet(id)
  if (event === null) throw new CommandFailed(`no decision \`${id}\` is stored, or not yet`)
  return print(io, flags, { json: eventJson(event), text: details(event) })
}

async function events(io: Io, client: PortcullisClient, flags: EventFlags): Promise<ExitCode> {
  const { kind, subject } = flags
  const answer = await client.auditControlEvents({ ...periodOf(flags), kind, subject })
  const columns: readonly Column[] = [
    { title: 'time' },
    { title: 'what' },
    { title: 'id' },
    { title: 'by' },
    { title: 'state' },
    { title: 'why', flexible: true },
  ]
  const rows = answer.map((event) => [
    event.time.toISOString(),
    ...[event.kind, event.subject, event.actor, event.state, event.why].map(clean),
  ])
  return print(io, flags, { json: snakeCase(answer), text: rows.length === 0 ? 'none' : table(columns, rows, io.out) })
}

async function tail(io: Io, client: PortcullisClient, flags: TailFlags): Promise<ExitCode> {
  const line = (event: AuditEvent): string =>
    flags.json === true ? jsonLine(eventJson(event)) : `${eventLine(io, event)}\n`
  if (!flags.follow) {
    if (flags.limit > MAX_ROWS)
      throw new UsageError(`--no-follow shows at most ${MAX_ROWS} events; follow, or ask for fewer`)
    const events = flags.limit === 0 ? [] : await client.auditQuery({ limit: flags.limit })
    for (const event of [...events].reverse()) await io.out.write(line(event))
    return 0
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  for await (const event of client.auditTail(flags.limit, stop.signal)) await io.out.write(line(event))
  return 0
}

function eventLine(io: Io, event: AuditEvent): string {
  const style = event.outcome === 'ALLOW' ? 'green' : event.outcome === 'DENY' ? 'red' : 'yellow'
  const by = event.ruleIds[0] === undefined ? event.reasonCode : clean(event.ruleIds[0])
  const outcome = io.out.paint(style, event.outcome.padEnd(16))
  return `${io.out.paint('dim', event.time.toISOString())}  ${outcome}  ${clean(event.agent)}  ${clean(event.tool)}  ${by}`
}

function details(event: AuditEvent): string {
  const rows = Object.entries(fieldsOf(event))
  const width = Math.max(...rows.map(([key]) => key.length))
  return rows
    .map(([key, value]) => `${key.padEnd(width)}  ${clean(Array.isArray(value) ? value.join(', ') : String(value))}`)
    .join('\n')
}

/** With the masked arguments as JSON, their keys the agent's own, instead of a text that holds JSON. */
function eventJson(event: AuditEvent): object {
  const { arguments_json: text, ...rest } = fieldsOf(event)
  try {
    return { ...rest, arguments: JSON.parse(String(text)) as unknown }
  } catch {
    return { ...rest, arguments_json: text }
  }
}

/** In the proto's spelling; protobuf puts lists first, people look for the decision first. */
function fieldsOf({ ruleIds, monitoredRuleIds, ...event }: AuditEvent): Record<string, unknown> {
  return snakeCase({ ...event, ruleIds, monitoredRuleIds }) as Record<string, unknown>
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

import { Command, Option } from 'commander'
import type { AuditEvent, AuditPeriod, PortcullisClient } from '../../sdk/typescript/client.js'
import { instant, wholeNumber } from './call-options.js'
import { CommandFailed, type ExitCode, type Io } from './command.js'
import { overviewBox, percent } from './overview.js'
import { serverClient } from './server-client.js'
import { snakeCase } from './snake-case.js'
import { type Column, clean, table } from './terminal.js'

interface Flags {
  readonly server: string
  readonly json?: boolean
  readonly from?: number
  readonly until?: number
  readonly limit: number
}
interface TailFlags extends Flags {
  readonly follow: boolean
}
type Question<F extends Flags> = (client: PortcullisClient, flags: F) => Promise<ExitCode>

export function auditCommand(io: Io, end: (code: ExitCode) => void): Command {
  const audit = new Command('audit').description('ask a running server what was decided')
  const add = <F extends Flags>(name: string, about: string, question: Question<F>, period = true): Command => {
    const command = withServer(audit.command(name)).description(about)
    if (period) {
      command
        .addOption(
          new Option('--from <instant>', 'begin of the period; seven days before its end where left out').argParser(
            instant,
          ),
        )
        .addOption(
          new Option('--until <instant>', 'end of the period, exclusive; now where left out').argParser(instant),
        )
    }
    return command.action(async (flags: F) => end(await ask(flags.server, (client) => question(client, flags))))
  }
  const limited = (command: Command, about: string, fallback = 10): Command =>
    command.addOption(new Option('--limit <rows>', about).argParser(wholeNumber(1, 1_000)).default(fallback))

  limited(
    add('overview', 'totals, top violations and riskiest agents', async (client, flags) => {
      const overview = await client.auditOverview(period(flags))
      const dates = `${day(overview.from)} – ${day(overview.until)}`
      return print(io, flags, snakeCase(overview), () => overviewBox(overview, dates, io.out))
    }),
    'rows of each ranking, at most 100',
    5,
  )
  add('totals', 'decisions by outcome', async (client, flags) => {
    const totals = await client.auditTotals(period(flags))
    const rows: [string, number][] = [
      ['ALLOW', totals.allowed],
      ['REQUIRE_APPROVAL', totals.requireApproval],
      ['DENY', totals.denied],
      ['total', totals.total],
    ]
    return print(io, flags, snakeCase(totals), () =>
      tabulate(
        io,
        [{ title: 'outcome' }, { title: 'decisions', align: 'right' }, { title: 'share', align: 'right' }],
        rows,
        ([name, count]) => [name, number(count), totals.total === 0 ? '–' : percent(count / totals.total)],
      ),
    )
  })
  limited(
    add('violations', 'rules that stopped most calls', async (client, flags) => {
      const violations = await client.auditTopViolations(period(flags))
      return print(io, flags, snakeCase(violations), () =>
        tabulate(io, VIOLATION_COLUMNS, violations, (v) => [
          number(v.count),
          number(v.agents),
          clean(v.ruleId),
          clean(v.policy),
          clean(v.description),
        ]),
      )
    }),
    'rows, at most 100',
  )
  limited(
    add('agents', 'agents that ran into most rules', async (client, flags) => {
      const agents = await client.auditRiskyAgents(period(flags))
      return print(io, flags, snakeCase(agents), () =>
        tabulate(io, AGENT_COLUMNS, agents, (a) => [
          clean(a.agent),
          number(a.violations),
          number(a.decisions),
          percent(a.violationRate),
        ]),
      )
    }),
    'rows, at most 100',
  )
  withServer(audit.command('get'))
    .description('one decision by its id')
    .argument('<decision-id>')
    .action(async (id: string, flags: Flags) => end(await ask(flags.server, (client) => get(io, client, id, flags))))
  add<TailFlags>('tail', 'the latest decisions, then every new one', (client, flags) => tail(io, client, flags), false)
    .addOption(
      new Option('-n, --limit <events>', 'past events to begin with').argParser(wholeNumber(0, 1_000)).default(10),
    )
    .option('--no-follow', 'end after the past events')
  return audit
}

function withServer(command: Command): Command {
  return command.option('--server <host:port>', 'server to ask', '127.0.0.1:50051').option('--json', 'print JSON')
}

async function ask(server: string, question: (client: PortcullisClient) => Promise<ExitCode>): Promise<ExitCode> {
  const client = await serverClient(server)
  try {
    return await client.ask(question)
  } finally {
    client.close()
  }
}

/** `json` in the proto's spelling already. */
async function print(io: Io, flags: Flags, json: unknown, pretty: () => string): Promise<ExitCode> {
  const text = flags.json === true ? JSON.stringify(json) : pretty().trimEnd()
  await io.out.write(`${text}\n`)
  return 0
}

function tabulate<T>(
  io: Io,
  columns: readonly Column[],
  rows: readonly T[],
  cells: (row: T) => readonly string[],
): string {
  return rows.length === 0 ? 'none' : table(columns, rows.map(cells), io.out)
}

const VIOLATION_COLUMNS: readonly Column[] = [
  { title: 'count', align: 'right' },
  { title: 'agents', align: 'right' },
  { title: 'rule' },
  { title: 'policy' },
  { title: 'description', flexible: true },
]
const AGENT_COLUMNS: readonly Column[] = [
  { title: 'agent', flexible: true },
  { title: 'violations', align: 'right' },
  { title: 'decisions', align: 'right' },
  { title: 'rate', align: 'right' },
]

async function get(io: Io, client: PortcullisClient, id: string, flags: Flags): Promise<ExitCode> {
  const event = await client.auditGet(id)
  if (event === null) throw new CommandFailed(`no decision \`${id}\` is stored, or not yet`)
  return print(io, flags, eventJson(event), () => details(event))
}

async function tail(io: Io, client: PortcullisClient, flags: TailFlags): Promise<ExitCode> {
  const line = (event: AuditEvent): string =>
    flags.json === true ? JSON.stringify(eventJson(event)) : eventLine(io, event)
  if (!flags.follow) {
    const events = flags.limit === 0 ? [] : await client.auditQuery({ limit: Math.min(flags.limit, 1_000) })
    for (const event of [...events].reverse()) await io.out.write(`${line(event)}\n`)
    return 0
  }
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  for await (const event of client.auditTail(flags.limit, stop.signal)) await io.out.write(`${line(event)}\n`)
  return 0
}

function eventLine(io: Io, event: AuditEvent): string {
  const style = event.outcome === 'ALLOW' ? 'green' : event.outcome === 'DENY' ? 'red' : 'yellow'
  const by = event.ruleIds[0] === undefined ? event.reasonCode : clean(event.ruleIds[0])
  const outcome = io.out.paint(style, event.outcome.padEnd(16))
  return `${io.out.paint('dim', event.time.toISOString())}  ${outcome}  ${clean(event.agent)}  ${clean(event.tool)}  ${by}`
}

function details(event: AuditEvent): string {
  const rows = Object.entries(snakeCase(event) as Record<string, unknown>)
  const width = Math.max(...rows.map(([key]) => key.length))
  return rows
    .map(([key, value]) => `${key.padEnd(width)}  ${clean(Array.isArray(value) ? value.join(', ') : String(value))}`)
    .join('\n')
}

/** With the masked arguments as JSON, their keys the agent's own, instead of a text that holds JSON. */
function eventJson(event: AuditEvent): object {
  const { arguments_json: text, ...rest } = snakeCase(event) as Record<string, unknown>
  try {
    return { ...rest, arguments: JSON.parse(String(text)) as unknown }
  } catch {
    return { ...rest, arguments_json: text }
  }
}

function period({ from, until, limit }: Flags): AuditPeriod {
  return {
    from: from === undefined ? undefined : new Date(from),
    until: until === undefined ? undefined : new Date(until),
    limit: limit === undefined ? undefined : Math.min(limit, 100),
  }
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

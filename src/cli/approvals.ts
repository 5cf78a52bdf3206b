import { Command, Option } from 'commander'
import type {
  ApprovalDetail,
  ApprovalState,
  ApprovalSummary,
  PortcullisClient,
  Review,
} from '../../sdk/typescript/client.js'
import { APPROVAL_STATES } from '../model/approval.js'
import { wholeNumber } from './call-options.js'
import { type ExitCode, type Io, UsageError } from './command.js'
import { type ConnectionFlags, withConnection } from './connection.js'
import { percent } from './overview.js'
import { asking } from './server-client.js'
import { snakeCase } from './snake-case.js'
import { type Column, clean, jsonLine, type Terminal, table } from './terminal.js'

interface Flags extends ConnectionFlags {
  readonly json?: boolean
}
interface ListFlags extends Flags {
  readonly state?: readonly ApprovalState[]
  readonly agent?: string
  readonly tool?: string
  readonly rule?: string
  readonly text?: string
  readonly mine?: boolean
  readonly unreviewed?: boolean
  readonly limit: number
}
interface VoteFlags extends Flags {
  readonly comment: string
  readonly digest?: string
  readonly args?: string
  readonly remember?: Review['remember']
  readonly for?: string
}

const MOST_ROWS = 500
const LIST_COLUMNS: readonly Column[] = [
  { title: 'id' },
  { title: 'state' },
  { title: 'agent' },
  { title: 'tool' },
  { title: 'env' },
  { title: 'waits for' },
  { title: 'left', align: 'right' },
  { title: 'reason', flexible: true },
]

/** `portcullis approvals list|show|approve|reject|watch|cancel|stats|grants|revoke`. */
export function approvalsCommand(io: Io, end: (code: ExitCode) => void): Command {
  const approvals = new Command('approvals').description('what waits for people, and deciding it')
  const ask = async (flags: Flags, question: (client: PortcullisClient) => Promise<ExitCode>): Promise<void> =>
    end(await asking(flags, question))

  withFilter(withFlags(approvals.command('list')))
    .description('requests, newest first; those that wait unless --state says otherwise')
    .addOption(new Option('--limit <rows>', 'most rows').argParser(wholeNumber(1, MOST_ROWS)).default(50))
    .action((flags: ListFlags) =>
      ask(flags, async (client) => {
        const { requests } = await client.approvals.list(filterOf(flags), flags.limit)
        if (flags.json === true) await io.out.write(jsonLine(snakeCase(requests)))
        else await io.out.write(requests.length === 0 ? 'nothing waits\n' : tableOf(requests, io.out))
        return 0
      }),
    )
  withFlags(approvals.command('show'))
    .description('one request whole: what is asked, what was voted, what happened')
    .argument('<approval-id>')
    .action((id: string, flags: Flags) => ask(flags, async (client) => show(io, flags, await client.approvals.get(id))))
  for (const [name, approve] of [
    ['approve', true],
    ['reject', false],
  ] as const) {
    const command = withFlags(approvals.command(name))
      .description(approve ? 'let it happen, with your vote' : 'do not let it happen; one rejection ends the request')
      .argument('<approval-id>')
      .option('--comment <text>', 'why; some rules ask for it', '')
      .option('--digest <hex>', 'of what you were shown; by default of what is shown now')
      .option('--for <person>', 'whose seat, lent to you, you vote from')
    if (approve) {
      command
        .option('--args <json>', 'approve with these arguments instead, where the rule lets reviewers change them')
        .addOption(new Option('--remember <what>', 'exact:1h, tool:8h or args.to:30m').argParser(rememberOf))
    }
    command.action((id: string, flags: VoteFlags) => ask(flags, (client) => vote(io, client, id, approve, flags)))
  }
  withFlags(approvals.command('cancel'))
    .description('withdraw a request')
    .argument('<approval-id>')
    .requiredOption('--reason <text>', 'why')
    .action((id: string, flags: Flags & { readonly reason: string }) =>
      ask(flags, async (client) => show(io, flags, await client.approvals.cancel(id, flags.reason))),
    )
  withFilter(withFlags(approvals.command('watch')))
    .description('what waits, then every change, a line each, until Ctrl-C; with an id until that request is over')
    .argument('[approval-id]')
    .action((id: string | undefined, flags: ListFlags) =>
      ask(flags, (client) => (id === undefined ? watchAll(io, client, flags) : watchOne(io, client, id, flags))),
    )
  withFlags(approvals.command('stats'))
    .description('how often and how fast people decide, over the last 30 days')
    .addOption(new Option('--by <what>', 'a line for each').choices(['rule', 'tool', 'approver']))
    .action((flags: Flags & { readonly by?: 'rule' | 'tool' | 'approver' }) =>
      ask(flags, (client) => stats(io, client, flags, flags.by ?? '')),
    )
  withFlags(approvals.command('grants'))
    .description('what agents may do without asking again')
    .option('--all', 'ended ones, too')
    .action((flags: Flags & { readonly all?: boolean }) => ask(flags, (client) => grants(io, client, flags)))
  withFlags(approvals.command('revoke'))
    .description('end a grant')
    .argument('<grant-id>')
    .requiredOption('--reason <text>', 'why')
    .action((id: string, flags: Flags & { readonly reason: string }) =>
      ask(flags, async (client) => {
        const grant = await client.approvals.revokeGrant(id, flags.reason)
        await io.out.write(flags.json === true ? jsonLine(snakeCase(grant)) : `grant ${grant.grantId} is revoked\n`)
        return 0
      }),
    )
  return approvals
}

function withFlags(command: Command): Command {
  return withConnection(command).option('--json', 'print JSON')
}

function withFilter(command: Command): Command {
  return command
    .addOption(
      new Option('--state <state...>', 'in these states').choices(APPROVAL_STATES.map((each) => each.toLowerCase())),
    )
    .option('--agent <id>', 'of this agent')
    .option('--tool <name>', 'about this tool')
    .option('--rule <id>', 'asked for by this rule')
    .option('--text <words>', 'with these words in reason, comments or names')
    .option('--mine', 'only what you may vote on now')
    .option('--unreviewed', 'only emergencies that nobody has reviewed')
}

function filterOf({ state, agent, tool, rule, text, mine, unreviewed }: ListFlags) {
  const states =
    state?.map((each) => each.toUpperCase() as ApprovalState) ?? (unreviewed === true ? [] : ['PENDING' as const])
  return {
    states,
    ...(agent !== undefined && { agent }),
    ...(tool !== undefined && { tool }),
    ...(rule !== undefined && { ruleId: rule }),
    ...(text !== undefined && { text }),
    mine: mine === true,
    unreviewed: unreviewed === true,
  }
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

/** `exact:1h`, `tool:30m:5` (at most five times), `args.to,args.subject:8h`. */
function rememberOf(text: string): NonNullable<Review['remember']> {
  const [, what = '', count = '', unit = '', uses = ''] = /^([^:]+):(\d{1,6})([smh])(?::(\d{1,4}))?$/.exec(text) ?? []
  if (what === '') throw new UsageError('--remember must look like exact:1h, tool:30m:5 or args.to,args.subject:8h')
  const mostUses = uses === '' ? 0 : Number(uses)
  const forMs = Number(count) * UNITS[unit]!
  if (what === 'exact' || what === 'tool') return { scope: what, forMs, mostUses }
  return { scope: 'fields', fields: what.split(','), forMs, mostUses }
}

/** What is shown is what is voted on: where no digest is given, the request is printed first. */
async function vote(
  io: Io,
  client: PortcullisClient,
  approvalId: string,
  approve: boolean,
  { comment, digest, args, remember, for: onBehalfOf, ...flags }: VoteFlags,
): Promise<ExitCode> {
  const shownDigest = digest ?? (await client.approvals.get(approvalId)).summary.shownDigest
  const detail = await client.approvals.review({
    approvalId,
    approve,
    shownDigest,
    comment,
    ...(args !== undefined && { editedArguments: args }),
    ...(remember !== undefined && { remember }),
    ...(onBehalfOf !== undefined && { onBehalfOf }),
  })
  return show(io, flags, detail)
}

async function show(io: Io, flags: Flags, detail: ApprovalDetail): Promise<ExitCode> {
  if (flags.json === true) await io.out.write(jsonLine(snakeCase(detail)))
  else await io.out.write(textOf(detail))
  return 0
}

function textOf(detail: ApprovalDetail): string {
  const { summary, votes, history } = detail
  const rows: readonly (readonly [string, string])[] = [
    ['request', summary.approvalId],
    [
      'state',
      `${summary.state.toLowerCase()}${detail.glassBroken ? ', in an emergency' : ''}${detail.edited ? ', arguments changed' : ''}`,
    ],
    [
      'agent',
      `${clean(summary.agent)}${detail.agentOwner === '' ? '' : `, ${clean(detail.agentOwner)} answers for it`}`,
    ],
    ['for', clean(summary.principal)],
    ['session', clean(detail.sessionId)],
    ['tool', `${clean(summary.tool)} in ${clean(summary.environment)}`],
    ['arguments', clean(detail.shownArgumentsJson)],
    ['because', clean(summary.reason)],
    ['rules', clean(summary.ruleIds.join(', '))],
    ['waits for', clean(summary.waitingFor.join(', '))],
    ['until', `${summary.expiresAt.toISOString()} (${left(summary)})`],
    ['may be used until', detail.validUntil?.toISOString() ?? ''],
    ['policies', detail.policyRevision],
    ['shown', summary.shownDigest],
    ['your vote', detail.mayVote ? 'is asked for' : clean(detail.whyNot)],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.filter(([, value]) => value !== '').map(([name, value]) => `${name.padEnd(width)}  ${value}`)
  const voted = votes.map(({ person, onBehalfOf, approve, comment, at, counts }) => {
    const who = onBehalfOf === '' ? clean(person) : `${clean(person)} for ${clean(onBehalfOf)}`
    return `  ${at.toISOString()}  ${who} ${approve ? 'approves' : 'rejects'}${counts ? '' : ' (other arguments)'}${said(comment)}`
  })
  const happened = history.map(({ at, kind, by, why }) => `  ${at.toISOString()}  ${kind} by ${clean(by)}${said(why)}`)
  return `${[...lines, ...(voted.length > 0 ? ['votes', ...voted] : []), 'history', ...happened].join('\n')}\n`
}

function said(text: string): string {
  return text === '' ? '' : `: ${clean(text)}`
}

function tableOf(requests: readonly ApprovalSummary[], to: Terminal): string {
  return table(LIST_COLUMNS, requests.map(rowOf), to)
}

function rowOf(request: ApprovalSummary): readonly string[] {
  return [
    request.approvalId,
    request.state.toLowerCase(),
    clean(request.agent),
    clean(request.tool),
    clean(request.environment),
    clean(request.waitingFor.join(', ')),
    left(request),
    clean(request.reason),
  ]
}

/** Time that is left to decide, for people. */
function left({ state, expiresAt }: ApprovalSummary): string {
  if (state !== 'PENDING') return '–'
  const seconds = Math.max(0, Math.round((expiresAt.getTime() - Date.now()) / 1_000))
  if (seconds < 120) return `${seconds}s`
  return seconds < 7_200 ? `${Math.floor(seconds / 60)}m` : `${Math.floor(seconds / 3_600)}h`
}

async function watchAll(io: Io, client: PortcullisClient, flags: ListFlags): Promise<ExitCode> {
  for await (const update of client.approvals.watchQueue(filterOf(flags))) {
    if (update === 'synced') continue
    await io.out.write(flags.json === true ? jsonLine(snakeCase(update)) : `${rowOf(update).join('  ')}\n`)
  }
  return 0
}

async function watchOne(io: Io, client: PortcullisClient, id: string, flags: Flags): Promise<ExitCode> {
  let state: ApprovalState = 'PENDING'
  for await (const update of client.approvals.watch(id)) {
    state = update.state
    if (flags.json === true) await io.out.write(jsonLine(snakeCase(update)))
    else if (update.changed) await io.out.write(`${update.state.toLowerCase()}: ${clean(update.reason)}\n`)
  }
  return state === 'APPROVED' || state === 'CONSUMED' ? 0 : 1
}

async function stats(
  io: Io,
  client: PortcullisClient,
  flags: Flags,
  by: '' | 'rule' | 'tool' | 'approver',
): Promise<ExitCode> {
  const rows = await client.approvals.stats(by)
  if (flags.json === true) {
    await io.out.write(jsonLine(snakeCase(rows)))
    return 0
  }
  const right = (title: string): Column => ({ title, align: 'right' })
  const columns = [
    { title: by === '' ? 'all' : by, flexible: true },
    ...['requests', 'waiting', 'approved', 'rejected', 'timed out', 'average', 'p50', 'p95'].map(right),
  ]
  const cells = rows.map((row) => [
    clean(row.key),
    String(row.requests),
    String(row.pending),
    `${row.approved} (${percent(row.approvalRate)})`,
    `${row.rejected} (${percent(row.rejectionRate)})`,
    `${row.timedOut} (${percent(row.timeoutRate)})`,
    ...[row.averageMs, row.p50Ms, row.p95Ms].map(span),
  ])
  await io.out.write(rows.length === 0 ? 'none\n' : table(columns, cells, io.out))
  return 0
}

function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`
  const seconds = ms / 1_000
  return seconds < 120 ? `${seconds.toFixed(1)}s` : `${Math.round(seconds / 60)}m`
}

async function grants(io: Io, client: PortcullisClient, flags: Flags & { readonly all?: boolean }): Promise<ExitCode> {
  const found = await client.approvals.listGrants('', flags.all === true)
  if (flags.json === true) {
    await io.out.write(jsonLine(snakeCase(found)))
    return 0
  }
  const columns: readonly Column[] = [
    { title: 'id' },
    { title: 'agent' },
    { title: 'tool' },
    { title: 'covers', flexible: true },
    { title: 'uses', align: 'right' },
    { title: 'until' },
    { title: 'by' },
  ]
  const rows = found.map((grant) => [
    grant.grantId,
    clean(grant.agent),
    clean(grant.tool),
    clean(grant.scope === 'fields' ? grant.fieldsJson : grant.scope),
    grant.mostUses === 0 ? String(grant.uses) : `${grant.uses}/${grant.mostUses}`,
    grant.revokedAt === null ? grant.expiresAt.toISOString() : 'revoked',
    clean(grant.grantedBy.join(', ')),
  ])
  await io.out.write(rows.length === 0 ? 'none\n' : table(columns, rows, io.out))
  return 0
}

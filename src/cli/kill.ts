import { Command, Option } from 'commander'
import type { KillScope, KillSwitch } from '../../sdk/typescript/client.js'
import { KILL_SCOPES } from '../model/kill-switch.js'
import { type ExitCode, type Io, UsageError } from './command.js'
import { type ConnectionFlags, withConnection } from './connection.js'
import { asking } from './server-client.js'
import { snakeCase } from './snake-case.js'
import { type Column, clean, jsonLine, type Terminal, table } from './terminal.js'

interface Flags extends ConnectionFlags {
  readonly json?: boolean
}
interface ReasonFlags extends Flags {
  readonly reason: string
}
interface ListFlags extends Flags {
  readonly all?: boolean
}

const COLUMNS: readonly Column[] = [
  { title: 'id' },
  { title: 'stops' },
  { title: 'state' },
  { title: 'confirmed', align: 'right' },
  { title: 'engaged by' },
  { title: 'reason', flexible: true },
]

/** `portcullis kill engage|release|list`. */
export function killCommand(io: Io, end: (code: ExitCode) => void): Command {
  const kill = new Command('kill').description('stop agents at once, and let them go on')
  withFlags(kill.command('engage'))
    .description('stop everything that the scope names; one operator is enough')
    .addOption(new Option('--scope <scope>', 'what is stopped').choices([...KILL_SCOPES]).makeOptionMandatory())
    .option('--target <name>', 'which one; of a tool a name or a glob; none for fleet and tenant', '')
    .requiredOption('--reason <text>', 'why; everybody who is denied reads it')
    .action(async (flags: ReasonFlags & { readonly scope: KillScope; readonly target: string }) => {
      if ((flags.target === '') !== ['fleet', 'tenant'].includes(flags.scope)) {
        throw new UsageError(
          flags.target === ''
            ? `--target is missing: which ${flags.scope}?`
            : `--target does not go with --scope ${flags.scope}, which stops everything in it`,
        )
      }
      const { scope, target, reason } = flags
      end(await asking(flags, (client) => told(io, flags, client.killSwitches.engage(scope, target, reason))))
    })
  withFlags(kill.command('release'))
    .description('let go on what a switch stops; it takes two persons')
    .argument('<kill-switch-id>')
    .requiredOption('--reason <text>', 'why it is safe')
    .action(async (id: string, flags: ReasonFlags) =>
      end(await asking(flags, (client) => told(io, flags, client.killSwitches.release(id, flags.reason)))),
    )
  withFlags(kill.command('list'))
    .description('what is stopped, and which servers act by it')
    .option('--all', 'released ones, too')
    .action(async (flags: ListFlags) =>
      end(
        await asking(flags, async (client) => {
          const switches = await client.killSwitches.list(flags.all === true)
          if (flags.json === true) await io.out.write(jsonLine(snakeCase(switches)))
          else await io.out.write(switches.length === 0 ? 'nothing is stopped\n' : tableOf(switches, io.out))
          return 0
        }),
      ),
    )
  return kill
}

function withFlags(command: Command): Command {
  return withConnection(command).option('--json', 'print JSON')
}

async function told(io: Io, flags: Flags, made: Promise<KillSwitch>): Promise<ExitCode> {
  const view = await made
  if (flags.json === true) await io.out.write(jsonLine(snakeCase(view)))
  else {
    await io.out.write(tableOf([view], io.out))
    const { approvalsEnded, grantsRevoked } = view
    if (approvalsEnded + grantsRevoked > 0) {
      await io.out.write(`ended with it: ${approvalsEnded} requests for approval, ${grantsRevoked} grants\n`)
    }
  }
  return 0
}

function tableOf(switches: readonly KillSwitch[], to: Terminal): string {
  const rows = switches.map((view) => {
    const confirmed = view.confirmations.filter((each) => each.confirmed).length
    return [
      view.killSwitchId,
      clean(view.target === '' ? view.scope : `${view.scope} ${view.target}`),
      clean(stateOf(view)),
      `${confirmed}/${view.confirmations.length}`,
      clean(view.engagedBy),
      clean(view.reason),
    ]
  })
  return table(COLUMNS, rows, to)
}

function stateOf({ releasedAt, releasedBy, releaseAskedBy }: KillSwitch): string {
  if (releasedAt !== null) return `released by ${releaseAskedBy} and ${releasedBy}`
  return releaseAskedBy === '' ? 'engaged' : `engaged; ${releaseAskedBy} asks to release`
}

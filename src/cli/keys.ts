import { Command, Option } from 'commander'
import type { ApiKey, NewKey, PortcullisClient, Role } from '../../sdk/typescript/client.js'
import { ROLES } from '../model/identity.js'
import { wholeNumber } from './call-options.js'
import { type ExitCode, type Io, UsageError } from './command.js'
import { type ConnectionFlags, withConnection } from './connection.js'
import { asking } from './server-client.js'
import { snakeCase } from './snake-case.js'
import { type Column, clean, jsonLine, type Terminal, table } from './terminal.js'

interface Flags extends ConnectionFlags {
  readonly json?: boolean
}
interface CreateFlags extends Flags {
  readonly role: readonly Role[]
  readonly approves: readonly string[]
  readonly attribute: Readonly<Record<string, string>>
  readonly label: Readonly<Record<string, string>>
  readonly owner?: string
  readonly days: number
}

const MOST_DAYS = 366
const DEFAULT_DAYS = 90
const COLUMNS: readonly Column[] = [
  { title: 'key' },
  { title: 'subject', flexible: true },
  { title: 'roles' },
  { title: 'approves as' },
  { title: 'until' },
  { title: 'last used' },
]

/** `portcullis keys create|rotate|revoke|list`. */
export function keysCommand(io: Io, end: (code: ExitCode) => void): Command {
  const keys = new Command('keys').description('API keys: who may ask, approve, stop and look')
  const role = new Option('--role <role>', `one of ${ROLES.join(', ')}; may be given again`)
  withFlags(keys.command('create'))
    .description('make a key; its secret is printed once')
    .argument('<subject>', "an agent's id, a person's address or a service's name")
    .addOption(role.argParser(listed).default([]).makeOptionMandatory())
    .addOption(
      new Option('--approves <name>', 'role that policies ask for; may be given again').argParser(listed).default([]),
    )
    .addOption(new Option('--attribute <name=value>', 'what policies route approvals by').argParser(paired).default({}))
    .addOption(
      new Option('--label <name=value>', 'label of the agent that policies match on').argParser(paired).default({}),
    )
    .option('--owner <person>', 'who answers for the agent, and so never approves its calls')
    .addOption(days())
    .action(async (subject: string, flags: CreateFlags) => {
      const { role: roles, approves: approverRoles, attribute: attributes, label: labels, owner } = flags
      if (roles.length === 0) throw new UsageError(`--role is missing: one of ${ROLES.join(', ')}`)
      const wish = { subject, roles, approverRoles, attributes, labels, owner: owner ?? '', days: flags.days }
      end(await asking(flags, (client) => made(io, flags, client.admin.createKey(wish))))
    })
  withFlags(keys.command('rotate'))
    .description('make a second key with the same rights; revoke the old one once the new one is in use')
    .argument('<key-id>')
    .addOption(days())
    .action(async (id: string, flags: Flags & { readonly days: number }) =>
      end(await asking(flags, (client) => made(io, flags, client.admin.rotateKey(id, flags.days)))),
    )
  withFlags(keys.command('revoke'))
    .description('end a key')
    .argument('<key-id>')
    .option('--reason <text>', 'why', '')
    .action(async (id: string, flags: Flags & { readonly reason: string }) =>
      end(await asking(flags, async (client) => list(io, flags, [await client.admin.revokeKey(id, flags.reason)]))),
    )
  withFlags(keys.command('list'))
    .description('keys of the tenant')
    .option('--all', 'ended ones, too')
    .action(async (flags: Flags & { readonly all?: boolean }) =>
      end(
        await asking(flags, async (client: PortcullisClient) =>
          list(io, flags, await client.admin.listKeys(flags.all)),
        ),
      ),
    )
  return keys
}

function withFlags(command: Command): Command {
  return withConnection(command).option('--json', 'print JSON')
}

function days(): Option {
  return new Option('--days <count>', 'how long the key lives')
    .argParser(wholeNumber(1, MOST_DAYS))
    .default(DEFAULT_DAYS)
}

function listed(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

function paired(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? []
  if (name === undefined || value === undefined) throw new UsageError(`\`${text}\` must look like name=value`)
  return { ...before, [name]: value }
}

async function made(io: Io, flags: Flags, asked: Promise<NewKey>): Promise<ExitCode> {
  const { key, secret } = await asked
  if (flags.json === true) {
    await io.out.write(jsonLine(snakeCase({ key, secret })))
    return 0
  }
  // The key alone on standard output, so that it goes into a file or a secret store as it is.
  await io.err.write(`key ${key.keyId} of ${clean(key.subject)}, until ${day(key.expiresAt)}; it is shown this once:\n`)
  await io.out.write(`${secret}\n`)
  return 0
}

async function list(io: Io, flags: Flags, keys: readonly ApiKey[]): Promise<ExitCode> {
  if (flags.json === true) await io.out.write(jsonLine(snakeCase(keys)))
  else await io.out.write(keys.length === 0 ? 'no keys\n' : tableOf(keys, io.out))
  return 0
}

function tableOf(keys: readonly ApiKey[], to: Terminal): string {
  const rows = keys.map((key) => [
    key.keyId,
    clean(key.subject),
    key.roles.join(', '),
    clean(key.approverRoles.join(', ')),
    key.revokedAt === null ? day(key.expiresAt) : `revoked ${day(key.revokedAt)}`,
    key.lastUsedAt === null ? 'never' : day(key.lastUsedAt),
  ])
  return table(COLUMNS, rows, to)
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

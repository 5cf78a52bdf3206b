import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { hostPort } from './call-options.js'
import { UsageError } from './command.js'

/** How a command reaches a server, and as whom. */
export interface ConnectionFlags {
  readonly server: string
  readonly keyFile?: string
  readonly as?: string
}

export const DEFAULT_SERVER = '127.0.0.1:50051'
/** Where the key is looked for when no file is named. Never a flag: every user of a machine sees command lines. */
export const KEY_VARIABLE = 'PORTCULLIS_KEY'

export function withConnection(command: Command): Command {
  const server = new Option('--server <host:port>', 'server to ask').argParser(hostPort).default(DEFAULT_SERVER)
  return withCredential(command.addOption(server))
}

export function withCredential(command: Command): Command {
  return command
    .option('--key-file <path>', `file with an API key; else the variable ${KEY_VARIABLE}`)
    .option('--as <name[:role,role]>', 'who acts, on a development server that has no keys')
}

/**
 * What the calls are made with; undefined for nothing.
 * @throws {UsageError}
 */
export function credentialOf({ keyFile, as }: Omit<ConnectionFlags, 'server'>, env = process.env): string | undefined {
  if (keyFile !== undefined && as !== undefined) throw new UsageError('--key-file and --as do not go together')
  if (as !== undefined) return development(as)
  if (keyFile === undefined) return env[KEY_VARIABLE] || undefined
  try {
    return readFileSync(keyFile, 'utf8').trim()
  } catch (error) {
    throw new UsageError(
      `--key-file: \`${keyFile}\` cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`,
    )
  }
}

function development(as: string): string {
  const [, name, roles = ''] = /^([^\s,:]+)(?::([^\s:]+))?$/.exec(as) ?? []
  if (name === undefined) {
    throw new UsageError('--as must look like alice@example.com or alice@example.com:support-manager,finance')
  }
  return `Development ${name} ${roles}`.trim()
}

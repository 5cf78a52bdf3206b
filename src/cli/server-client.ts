import type { PortcullisClient } from '../../sdk/typescript/client.js'
import { CommandFailed, type ExitCode } from './command.js'
import { type ConnectionFlags, credentialOf } from './connection.js'
import { RequestError } from './request.js'

/** google.rpc.Code */
const INVALID_ARGUMENT = 3
/** How long the server may take for an answer: an overview reads a week of records. */
const DEADLINE_MS = 30_000

export interface ServerClient {
  /**
   * @throws {RequestError} when the server refuses the request itself
   * @throws {CommandFailed} when it does not answer
   */
  ask<T>(question: (client: PortcullisClient) => Promise<T>): Promise<T>
  close(): void
}

/** Loads gRPC only here: commands that need no server start twice as fast without it. */
export async function serverClient(flags: ConnectionFlags): Promise<ServerClient> {
  const { connect, PortcullisError } = await import('../../sdk/typescript/client.js')
  const { server: address } = flags
  const key = credentialOf(flags)
  const client = connect(address, { deadlineMs: DEADLINE_MS, ...(key !== undefined && { key }) })
  return {
    async ask(question) {
      try {
        return await question(client)
      } catch (error) {
        if (!(error instanceof PortcullisError)) throw error
        if (error.code === INVALID_ARGUMENT) throw new RequestError(error.message)
        throw new CommandFailed(
          error.reason === ''
            ? `the server at ${address} did not answer: ${cause(error.message)}`
            : `the server at ${address} cannot answer: ${error.message}`,
        )
      }
    },
    close: () => client.close(),
  }
}

/** One question to a server, and the connection closed again. */
export async function asking(
  flags: ConnectionFlags,
  question: (client: PortcullisClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  const client = await serverClient(flags)
  try {
    return await client.ask(question)
  } finally {
    client.close()
  }
}

/** gRPC wraps the one thing that helps in what it went through. */
function cause(message: string): string {
  const failed = /Last error: (?:Error: )?(connect .+?)\. Resolution note:/.exec(message)?.[1]
  return failed === undefined ? message : `${failed}. Is it running? \`portcullis serve\` starts one`
}

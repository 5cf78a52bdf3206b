import { Command, CommanderError } from 'commander'
import { PolicyFolderError } from '../authoring/policy-folder.js'
import { approvalsCommand } from './approvals.js'
import { auditCommand } from './audit.js'
import { checkCommand } from './check.js'
import { CommandFailed, type ExitCode, type Io, UsageError } from './command.js'
import { convertCommand } from './convert.js'
import { decideCommand } from './decide.js'
import { explainCommand } from './explain.js'
import { explainIndexCommand } from './explain-index.js'
import { fmtCommand } from './fmt.js'
import { keysCommand } from './keys.js'
import { killCommand } from './kill.js'
import { RequestError } from './request.js'
import { serveCommand } from './serve.js'
import { cleanLines } from './terminal.js'
import { testCommand } from './test.js'

/**
 * Runs one command line to its end.
 * @param argv as `process.argv`: program and script, then the arguments
 */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = 0
  const end = (given: ExitCode): void => {
    code = given
  }
  const program = new Command('portcullis')
    .description("Decide AI agents' tool calls: ALLOW, DENY or REQUIRE_APPROVAL.")
    .version('0.1.0')
    .helpCommand(false)
    .addHelpText('after', '\nExit codes: 0 fine, 1 the answer is no or the work failed, 2 wrong use.')
  const commands = [
    serveCommand(io, end),
    checkCommand(io, end),
    fmtCommand(io, end),
    testCommand(io, end),
    explainCommand(io, end),
    explainIndexCommand(io, end),
    decideCommand(io, end),
    convertCommand(io, end),
    auditCommand(io, end),
    approvalsCommand(io, end),
    killCommand(io, end),
    keysCommand(io, end),
  ]
  for (const command of commands) program.addCommand(command)
  // Settings are inherited at creation only, so every command is told.
  for (const command of [program, ...commands, ...commands.flatMap((c) => c.commands)]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(cleanLines(text)),
    })
    command.showHelpAfterError(`(portcullis ${command === program ? '' : `${pathOf(command)} `}--help tells more)`)
  }
  try {
    await program.parseAsync([...argv])
    return code
  } catch (error) {
    return await report(error, io)
  }
}

function pathOf(command: Command): string {
  const parent = command.parent
  return parent === null || parent.parent === null ? command.name() : `${pathOf(parent)} ${command.name()}`
}

async function report(error: unknown, io: Io): Promise<ExitCode> {
  // Commander has printed its message already; help and version end this way, too.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const known = [UsageError, RequestError, PolicyFolderError, CommandFailed].some((kind) => error instanceof kind)
  const text =
    error instanceof Error && known
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error)
  await io.err.write(`portcullis: ${cleanLines(known ? text : `a fault of our own, please report it: ${text}`)}\n`)
  return error instanceof CommandFailed || !known ? 1 : 2
}

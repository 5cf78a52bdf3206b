import { Command } from 'commander'
import type { ExitCode } from './command.js'

/** The server reads its flags itself, with the environment beside them, so they pass through as they are. */
export function serveCommand(end: (code: ExitCode) => void): Command {
  return new Command('serve')
    .description('run the server (serve --help tells its settings)')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .argument('[settings...]')
    .action(async (settings: readonly string[]) => {
      // Loaded here: no other command needs the server's parts.
      const { serve } = await import('../main.js')
      end(exitCode(await serve(settings)))
    })
}

function exitCode(code: number): ExitCode {
  return code === 0 || code === 2 ? code : 1
}

import { Command } from 'commander'
import type { ExitCode, Io } from './command.js'
import { wrap } from './terminal.js'

/** The server reads its flags itself, with the environment beside them, so they pass through as they are. */
export function serveCommand(io: Io, end: (code: ExitCode) => void): Command {
  return new Command('serve')
    .description('run the server (serve --help tells its settings)')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .argument('[settings...]')
    .action(async (settings: readonly string[]) => {
      if (settings.includes('--help') || settings.includes('-h')) return io.out.write(await help(io.out.width))
      // Loaded here: no other command needs the server's parts.
      const { serve } = await import('../main.js')
      end(exitCode(await serve(settings)))
    })
}

async function help(width: number): Promise<string> {
  const { SETTINGS } = await import('../config.js')
  const settings = Object.values(SETTINGS).flatMap(({ flag, variable, fallback, takes, about }) => {
    const unset = fallback === '' ? '' : ` [${fallback}]`
    return [
      `  --${flag} ${takes}`,
      ...wrap(`${about}${unset}`, width - 6).map((line) => `      ${line}`),
      `      ${variable}`,
    ]
  })
  return [
    'Usage: portcullis serve [settings]',
    '',
    'Runs the server until SIGTERM or Ctrl-C. Each setting is a flag or, under it, a variable of the environment.',
    '',
    ...settings,
    '',
  ].join('\n')
}

function exitCode(code: number): ExitCode {
  return code === 0 || code === 2 ? code : 1
}

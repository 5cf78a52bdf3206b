import { resolve } from 'node:path'
import { type App, startApp } from './app.js'
import { type Config, ConfigError, readConfig } from './config.js'
import { escapeUnseen } from './model/unseen.js'
import { createLog } from './telemetry/log.js'

/**
 * Runs the server until a signal ends it: SIGTERM or SIGINT drains, a second one ends at once, SIGHUP reloads the policies.
 * The banner goes to standard output, the log to standard error.
 *
 * @param argv flags, without program and command
 * @returns the exit code: 0 after a drain, 1 when the server could not start or the drain ran out of time, 2 for wrong use
 */
export async function serve(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  let config: Config
  try {
    config = readConfig(argv, env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    printError(error.message)
    return 2
  }
  const format = config.log.format === 'auto' ? (process.stderr.isTTY ? 'text' : 'json') : config.log.format
  const log = createLog({
    level: config.log.level,
    format,
    write: (line) => process.stderr.write(line),
    nowMs: () => Date.now(),
  })
  // Handlers before the start: a signal while the server starts must not kill it half open.
  const stopped = new Promise<NodeJS.Signals>((stop) => {
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
  })
  const app = await startApp(config, log).catch((error: unknown) => {
    printError(error instanceof Error ? error.message : String(error))
    log.debug('could not start', { cause: error instanceof Error ? error : new Error(String(error)) })
    return null
  })
  if (app === null) return 1

  process.on('SIGHUP', () => void app.reload())
  const { revision, counts } = app.live
  log.info('serving', { address: app.address, revision, ...counts, pid: process.pid })
  if (config.log.format !== 'json') process.stdout.write(banner(app, config))

  const signal = await stopped
  log.info('draining', { signal, ...app.underWay, drainMs: config.drainMs })
  const force = (): void => {
    log.warn('ended by a second signal, calls under way were cut off')
    process.exit(1)
  }
  process.once('SIGTERM', force)
  process.once('SIGINT', force)
  const inTime = await app.close()
  if (inTime) log.info('stopped')
  else log.warn('stopped, calls under way were cut off', { drainMs: config.drainMs })
  return inTime ? 0 : 1
}

function printError(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`portcullis: ${escapeUnseen(line)}\n`)
}

function banner(app: App, config: Config): string {
  const { revision, counts } = app.live
  const store = { embedded: 'chDB, embedded', clickhouse: 'ClickHouse server', none: 'none: records stay in the spool' }
  const call = {
    agent: { id: 'support-1' },
    tool: 'issue_refund',
    environment: 'prod',
    arguments_struct: { order_id: 'A1', amount: 450 },
  }
  const rows = [
    ['listens on', `${app.address} (gRPC, this machine only, callers are not authenticated)`],
    ['policies', `${resolve(config.policies)}, reloaded when they change`],
    ['revision', revision],
    ['holds', `rules ${counts.rules}, policies ${counts.policies}, tools ${counts.tools}, tenants ${counts.tenants}`],
    ['data', resolve(config.data)],
    ['audit', store[config.audit.store]],
  ]
  return [
    '',
    'Portcullis',
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(11)} ${escapeUnseen(value)}`),
    '',
    'Ask it, from another terminal:',
    `  npx portcullis decide --server ${app.address} --agent support-1 --tool issue_refund --env prod --args '{"order_id":"A1","amount":450}'`,
    `  grpcurl -plaintext -d '${JSON.stringify(call)}' ${app.address} portcullis.v1.DecisionService/Decide`,
    '',
    'Stop it with Ctrl-C.',
    '',
    '',
  ].join('\n')
}

import { resolve } from 'node:path'
import { type Server, startApp } from './app.js'
import { type Config, ConfigError, readConfig } from './config.js'
import { escapeUnseen } from './model/unseen.js'
import { logToStandardError } from './telemetry/log.js'
import { startWorkers } from './workers.js'

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
  const log = logToStandardError(config.log)
  // Handlers before the start: a signal while the server starts must not kill it half open.
  const stopped = new Promise<NodeJS.Signals>((stop) => {
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
  })
  const start = config.workers === 1 ? startApp : startWorkers
  const server = await start(config, log).catch((error: unknown) => {
    printError(error instanceof Error ? error.message : String(error))
    log.debug('could not start', { cause: error instanceof Error ? error : new Error(String(error)) })
    return null
  })
  if (server === null) return 1

  process.on('SIGHUP', () => void server.reload())
  const { revision, counts } = server.live
  const { workers } = config
  log.info('serving', {
    address: server.address,
    ...(server.httpAddress !== null && { http: server.httpAddress }),
    revision,
    ...counts,
    pid: process.pid,
    ...(workers > 1 && { workers }),
  })
  if (config.log.format !== 'json') process.stdout.write(banner(server, config))

  const failure = server.failed?.then((why) => ({ why })) ?? new Promise<never>(() => undefined)
  const end = await Promise.race([stopped.then((signal) => ({ signal })), failure])
  if ('why' in end) log.error('the server cannot go on', end)
  log.info('draining', { ...end, ...server.underWay, drainMs: config.drainMs })
  const force = (): void => {
    log.warn('ended by a second signal, calls under way were cut off')
    process.exit(1)
  }
  process.once('SIGTERM', force)
  process.once('SIGINT', force)
  const inTime = await server.close()
  if (inTime) log.info('stopped')
  else log.warn('stopped, calls under way were cut off', { drainMs: config.drainMs })
  return inTime && !('why' in end) ? 0 : 1
}

function printError(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`portcullis: ${escapeUnseen(line)}\n`)
}

/** Who may call, in the banner. */
function callers({ listen, http, control }: Config): string {
  if (!listen.isLoopback || http?.isLoopback === false) return 'callers prove who they are by API keys'
  const whoever = 'this machine only, callers are not authenticated'
  return control.store === 'none' ? whoever : `${whoever} until the first API key is made`
}

function banner({ address, httpAddress, live: { revision, counts } }: Server, config: Config): string {
  const store = { embedded: 'chDB, embedded', clickhouse: 'ClickHouse server', none: 'none: records stay in the spool' }
  const control = {
    embedded: 'PostgreSQL, embedded',
    postgres: 'PostgreSQL server',
    none: 'none: no approvals are kept',
  }
  const call = {
    agent: { id: 'support-1' },
    tool: 'issue_refund',
    environment: 'prod',
    arguments_struct: { order_id: 'A1', amount: 450 },
  }
  const rows = [
    ['listens on', `${address} (gRPC, ${callers(config)})`],
    ...(httpAddress === null ? [] : [['http', `http://${httpAddress}/v1/SERVICE/METHOD (JSON)`]]),
    ['policies', `${resolve(config.policies)}, reloaded when they change`],
    ['revision', revision],
    ['holds', `rules ${counts.rules}, policies ${counts.policies}, tools ${counts.tools}, tenants ${counts.tenants}`],
    ...(config.workers > 1 ? [['workers', `${config.workers}; a connection stays with one`]] : []),
    ['data', resolve(config.data)],
    ['audit', store[config.audit.store]],
    ['control', control[config.control.store]],
  ]
  return [
    '',
    'Portcullis',
    ...rows.map(([name = '', value = '']) => `  ${name.padEnd(11)} ${escapeUnseen(value)}`),
    '',
    'Ask it, from another terminal:',
    `  npx portcullis decide --server ${address} --agent support-1 --tool issue_refund --env prod --args '{"order_id":"A1","amount":450}'`,
    `  grpcurl -plaintext -d '${JSON.stringify(call)}' ${address} portcullis.v1.DecisionService/Decide`,
    '',
    'Stop it with Ctrl-C.',
    '',
    '',
  ].join('\n')
}

import type { Config } from './config.js'
import type { Log } from './model/log.js'
import { DEFAULT_NOTIFY, openChannels, readNotifyFile } from './notify/index.js'
import type { Database } from './store/database.js'
import { Outbox } from './store/outbox/index.js'

/**
 * The outbox with the channels of the file that the configuration names, not started yet.
 *
 * @throws {NotifyConfigError}
 */
export function openOutbox(
  { notifyFile }: Pick<Config, 'notifyFile'>,
  database: Database,
  log: Log,
  nowMs: () => number,
  env: Readonly<Record<string, string | undefined>>,
): Outbox {
  const config = notifyFile === null ? DEFAULT_NOTIFY : readNotifyFile(notifyFile, env)
  const channels = openChannels(config, { log, nowMs })
  log.info('notices', { channels: channels.map(({ name }) => name) })
  return new Outbox({ database, channels, log })
}

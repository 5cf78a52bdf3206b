import type { Config } from './config.js'
import type { Log } from './model/log.js'
import { DEFAULT_NOTIFY, openChannels, readNotifyFile } from './notify/index.js'
import type { Database } from './store/database.js'
import { Outbox } from './store/outbox/index.js'

/**
 * Begins to tell people what happens, by the channels of the file that the configuration names. Each process may do so.
 *
 * @throws {NotifyConfigError} before anything is sent
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
  const outbox = new Outbox({ database, channels, log })
  outbox.start()
  log.info('notices', { channels: channels.map(({ name }) => name) })
  return outbox
}

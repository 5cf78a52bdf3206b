import { assertNever } from '../model/assert-never.js'
import type { Log } from '../model/log.js'
import { Breakers } from './breaker.js'
import type { Channel } from './channel.js'
import type { ChannelConfig, NotifyConfig } from './config.js'
import { Courier } from './courier.js'
import { EmailChannel } from './email.js'
import { LogChannel } from './log.js'
import { WebhookChannel } from './webhook.js'

export type { Channel, Notice, Sent } from './channel.js'
export { DEFAULT_NOTIFY, type NotifyConfig, NotifyConfigError, readNotifyFile } from './config.js'

/**
 * The channels of a configuration, ready for the outbox, which closes them. Nothing is connected to yet.
 */
export function openChannels(
  { link, channels }: NotifyConfig,
  { log, nowMs }: { readonly log: Log; readonly nowMs: () => number },
): readonly Courier[] {
  const breakers = new Breakers({
    nowMs,
    changed: (host, isOpen) =>
      isOpen ? log.warn('notices held back, a host fails', { host }) : log.info('notices sent again', { host }),
  })
  return channels.map((config) => {
    const { name, kinds, tenants } = config
    return new Courier({ name, kinds, tenants, link, breakers, channel: channelOf(config, log, nowMs) })
  })
}

function channelOf(config: ChannelConfig, log: Log, nowMs: () => number): Channel {
  switch (config.type) {
    case 'log':
      return new LogChannel(log)
    case 'webhook':
      return new WebhookChannel({ ...config, ca: config.ca ?? undefined, nowMs })
    case 'email':
      return new EmailChannel(config)
    default:
      return assertNever(config)
  }
}

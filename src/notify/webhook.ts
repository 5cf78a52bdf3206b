import type { Channel, Notice, Sent } from './channel.js'
import { type PostOptions, post } from './post.js'
import { webhookHeaders } from './standard-webhooks.js'

export interface WebhookOptions extends PostOptions {
  /** May hold a secret, so that nothing but its host is ever said. */
  readonly url: URL
  /** The one in use, and during a rotation the other one as well; see {@link readWebhookSecret}. */
  readonly keys: readonly Buffer[]
}

/** Posts notices as JSON, signed by Standard Webhooks 1.0. A receiver drops what it knows by `webhook-id`. */
export class WebhookChannel implements Channel {
  readonly host: string
  readonly wantsOvertaken = true
  readonly #options: WebhookOptions

  constructor(options: WebhookOptions) {
    if (options.keys.length === 0) throw new TypeError('a webhook has at least one secret')
    this.host = options.url.host
    this.#options = options
  }

  async send(notice: Notice): Promise<Sent> {
    const { url, keys, nowMs = Date.now } = this.#options
    const body = webhookBody(notice)
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'portcullis',
      ...webhookHeaders(notice.id, nowMs(), body, keys),
    }
    await post(url, headers, body, this.#options)
    return { remote: '' }
  }
}

/** `{"type", "timestamp", "data"}` as the specification recommends; below its 20 KB whatever the notice holds. */
export function webhookBody({ id: _, kind, atMs, ...rest }: Notice): string {
  const { approval, killSwitch, ...data } = rest
  return JSON.stringify({
    type: kind,
    timestamp: new Date(atMs).toISOString(),
    data: {
      ...data,
      ...(approval && { approval: { ...approval, expiresAt: isoOrNull(approval.expiresMs), expiresMs: undefined } }),
      ...(killSwitch && { killSwitch }),
    },
  })
}

function isoOrNull(ms: number): string | null {
  return ms > 0 ? new Date(ms).toISOString() : null
}

import type { Log } from '../model/log.js'
import type { Channel, Notice, Sent } from './channel.js'

/** Writes notices into the server's own log, which escapes what it is given. */
export class LogChannel implements Channel {
  readonly host = ''
  readonly wantsOvertaken = true
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  async send(notice: Notice): Promise<Sent> {
    const { id, kind, title, tenant, approval, killSwitch, severity, link } = notice
    this.#log.info('notice', {
      notice: id,
      kind,
      title,
      tenant,
      ...(severity !== '' && { severity }),
      ...(approval && { approval: approval.id, state: approval.state, roles: approval.roles, reason: approval.reason }),
      ...(killSwitch && { killSwitch: killSwitch.id, by: killSwitch.by, reason: killSwitch.reason }),
      ...(link !== '' && { link }),
    })
    return { remote: '' }
  }
}

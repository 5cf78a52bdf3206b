import type { ControlEvent } from '../../model/control-event.js'
import type { Masker } from '../mask.js'
import { FULL } from './cursor.js'
import { clamp, MAX_TIME_MS } from './row.js'

/** Ids as we make them: no text of anybody's, though a run of digits in one may look like a card. */
const OWN_ID = /^[0-9A-Za-z-]{1,64}$/

/**
 * Control events as rows of `audit.events`, beside those of decisions: `kind` tells them apart, and what a decision has no
 * column for is in `attrs`. So they share the numbers of their writer, and nothing of one sort is lost or doubled unseen.
 */
export class EventRowEncoder {
  readonly #masker: Masker

  constructor(masker: Masker) {
    this.#masker = masker
  }

  /**
   * Writes the row at `at`.
   *
   * @returns the offset behind it; -1 when there is no room in `bytes`
   */
  write(event: ControlEvent, writerId: string, seq: number, bytes: Buffer, at: number): number {
    const line = this.#line(event, writerId, seq)
    return at + Buffer.byteLength(line) > bytes.length ? FULL : at + bytes.write(line, at, 'utf8')
  }

  #line(event: ControlEvent, writerId: string, seq: number): string {
    const before = this.#masker.redactions
    const text = (value: string): string => this.#masker.text(value)
    const attrs = {
      subject: OWN_ID.test(event.subject) ? event.subject : text(event.subject),
      actor: text(event.actor),
      ...(event.state !== '' && { state: text(event.state) }),
      ...(event.shownDigest !== '' && {
        shown_digest: OWN_ID.test(event.shownDigest) ? event.shownDigest : text(event.shownDigest),
      }),
    }
    return JSON.stringify({
      writer_id: writerId,
      seq,
      event_id: event.eventId,
      ts: clamp(event.timeMs, MAX_TIME_MS),
      kind: event.kind,
      tenant: text(event.tenant),
      ...(event.agent !== '' && { agent_id: text(event.agent) }),
      ...(event.tool !== '' && { tool: text(event.tool) }),
      reason: text(event.why),
      attrs,
      redactions: Math.min(this.#masker.redactions - before, 0xffff),
    })
  }
}

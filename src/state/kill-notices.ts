import type { KillSwitch } from '../model/kill-switch.js'
import type { OutboxRow } from '../store/outbox/index.js'

/** What people are told of a switch, said in the transaction that changes it. A fleet's has no tenant. */
export function killNotice(what: 'engaged' | 'release-asked' | 'released', of: KillSwitch): OutboxRow {
  const { id, tenant, scope, target } = of
  const told = {
    engaged: { version: 1, by: of.engagedBy, reason: of.reason },
    'release-asked': { version: 2, by: of.releaseAskedBy, reason: of.releaseReason },
    released: { version: 3, by: of.releasedBy, reason: of.releaseReason },
  }[what]
  const payload = { switchId: id, scope, target, ...told }
  // Whoever asked for a release asks once: it stands until a second person completes it.
  return { tenant, kind: `kill.${what}`, dedupeKey: `kill:${id}:${what}`, payload }
}

import type { ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js'
import { KILL_SCOPES, type KillScope } from '../../model/kill-switch.js'
import type { KillSwitchStore, KillSwitchView } from '../../state/kill-switch-store.js'
import { actorOf } from './actor.js'
import { RpcError } from './errors.js'
import { LIMITS } from './limits.js'
import { name, optional, uuid } from './names.js'
import { servePolled } from './polled-stream.js'
import { toTimestamp } from './timestamp.js'
import { type EdgeDeps, unary } from './unary.js'

export interface KillSwitchServiceDeps extends EdgeDeps {
  readonly killSwitches: KillSwitchStore
}

interface EngageMessage {
  readonly scope: string
  readonly target: string
  readonly reason: string
}
interface ReleaseMessage {
  readonly killSwitchId: string
  readonly reason: string
}

const PREFIX = 'KILL_SCOPE_'

export function killSwitchHandlers(deps: KillSwitchServiceDeps): UntypedServiceImplementation {
  const { killSwitches } = deps
  return {
    engage: unary(deps, async (message: EngageMessage, caller) => {
      const scope = toScope(message.scope)
      const reason = why(message.reason)
      const by = { ...caller, id: actorOf(caller) }
      return toMessage(await killSwitches.engage(by, scope, targetOf(scope, message.target), reason))
    }),
    release: unary(deps, async (message: ReleaseMessage, caller) => {
      const id = uuid('kill_switch_id', message.killSwitchId)
      const by = { ...caller, id: actorOf(caller) }
      return toMessage(await killSwitches.release(by, id, why(message.reason)))
    }),
    list: unary(deps, async ({ includeReleased }: { readonly includeReleased: boolean }, { tenant }) => ({
      killSwitches: (await killSwitches.list(tenant, includeReleased)).map(toMessage),
    })),
    watch: (stream: ServerWritableStream<object, object>) =>
      servePolled(deps, stream, {
        read: ({ tenant }) => killSwitches.list(tenant, true),
        keyOf: ({ id }) => id,
        isFirst: ({ releasedMs }) => releasedMs === null,
        toMessage: (view) => ({ killSwitch: toMessage(view) }),
      }),
  }
}

function toScope(text: string): KillScope {
  const scope = KILL_SCOPES.find((known) => `${PREFIX}${known.toUpperCase()}` === text)
  if (scope !== undefined) return scope
  const known = KILL_SCOPES.map((each) => PREFIX + each.toUpperCase()).join(', ')
  throw new RpcError('FIELD_REQUIRED', `scope must be one of ${known}`, { field: 'scope' })
}

function targetOf(scope: KillScope, target: string): string {
  if (scope !== 'fleet' && scope !== 'tenant') return name('target', target)
  if (target === '') return ''
  throw new RpcError('FIELD_INVALID', `target must be empty for the scope ${scope}, which stops everything in it`, {
    field: 'target',
  })
}

function why(reason: string): string {
  if (reason.trim() !== '') return optional('reason', reason, LIMITS.commentBytes)
  throw new RpcError('FIELD_REQUIRED', 'reason is empty; whoever comes next must know why', { field: 'reason' })
}

function toMessage(view: KillSwitchView): object {
  return {
    killSwitchId: view.id,
    scope: PREFIX + view.scope.toUpperCase(),
    target: view.target,
    reason: view.reason,
    engagedBy: view.engagedBy,
    engagedAt: toTimestamp(view.engagedMs),
    releaseAskedBy: view.releaseAskedBy,
    releaseReason: view.releaseReason,
    releasedBy: view.releasedBy,
    releasedAt: view.releasedMs === null ? null : toTimestamp(view.releasedMs),
    confirmations: view.confirmations.map(({ instance, isConfirmed, seenMs }) => ({
      instance,
      confirmed: isConfirmed,
      seenAt: toTimestamp(seenMs),
    })),
    approvalsEnded: view.approvalsEnded,
    grantsRevoked: view.grantsRevoked,
  }
}

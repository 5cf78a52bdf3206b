import { KeyRefused } from '../../model/api-key.js'
import { StoreUnavailable } from '../../state/control-state.js'
import { KillSwitchRefused } from '../../state/kill-switch-store.js'
import { RpcError } from './errors.js'

const KEY_REFUSALS = {
  NOT_FOUND: 'KEY_NOT_FOUND',
  TOO_MANY: 'KEY_LIMIT',
  INVALID: 'FIELD_INVALID',
  REVOKED: 'KEY_REVOKED',
} as const

const KILL_REFUSALS = {
  NOT_FOUND: 'KILL_SWITCH_NOT_FOUND',
  ALREADY_RELEASED: 'KILL_SWITCH_RELEASED',
  SAME_PERSON: 'SECOND_PERSON_NEEDED',
  NOT_FLEET_OPERATOR: 'PERMISSION_DENIED',
} as const

/** What the control store refused, or that it is down, in the words of the contract; null for anything else. */
export function refusedByStore(error: unknown): RpcError | null {
  if (error instanceof KeyRefused) return new RpcError(KEY_REFUSALS[error.code], error.message)
  if (error instanceof KillSwitchRefused) return new RpcError(KILL_REFUSALS[error.code], error.message)
  if (error instanceof StoreUnavailable) {
    const text = 'the control store does not answer; decisions go on from what is known, try again later'
    return new RpcError('CONTROL_STORE_UNAVAILABLE', text, {}, error)
  }
  return null
}

import pg from 'pg'
import { QueryFailed, StoreUnavailable, type UnavailableReason } from './database.js'

/** SQLSTATEs, or classes of them (two characters), that say: not now. */
const NOT_NOW: ReadonlyMap<string, UnavailableReason> = new Map<string, UnavailableReason>([
  ['08', 'lost'],
  ['25006', 'read-only'],
  ['25P03', 'timeout'],
  ['25P04', 'timeout'],
  ['28', 'login'],
  ['3D000', 'login'],
  ['53', 'full'],
  ['55P03', 'timeout'],
  ['57014', 'timeout'],
  ['57P01', 'starting'],
  ['57P02', 'starting'],
  ['57P03', 'starting'],
  ['57P04', 'login'],
  ['57P05', 'timeout'],
  ['58', 'broken'],
  ['XX001', 'broken'],
  ['XX002', 'broken'],
])

const HINTS: Readonly<Partial<Record<UnavailableReason, string>>> = {
  unreachable: 'Is PostgreSQL running there, and may this machine reach it?',
  login: 'Check user, password and database of DATABASE_URL',
  full: 'Give the server room: connections, memory or disk',
  'read-only': 'DATABASE_URL has to name the primary',
}

/** Deadlock and serialisation failure: somebody had to yield, and the same transaction may well succeed now. */
export const YIELDED: ReadonlySet<string> = new Set(['40001', '40P01'])

/** What the driver says when the connection is gone; it has no codes for it. */
const LOST = /^(?:Connection terminated|write after end)/
/** The connection was gone before the statement was asked for. */
const UNSENT = /is not queryable$/
const NO_ANSWER = /^(?:Query read timeout|timeout exceeded|timeout expired)/
const SYSTEM_LOST = /^(?:E(?:CONN|PIPE|TIMEDOUT|NET|HOST|AI_|NOTFOUND|NOENT|ACCES)|ERR_(?:STREAM|SSL|TLS|SOCKET))/

/** Anything that keeps us from a connection is no mistake in a statement. */
export function connectError(error: unknown, address: string): StoreUnavailable {
  if (error instanceof StoreUnavailable) return error
  const { message, code } = plain(error)
  const reason =
    error instanceof pg.DatabaseError
      ? (notNow(code) ?? 'unreachable')
      : NO_ANSWER.test(message)
        ? 'timeout'
        : 'unreachable'
  return unavailable(reason, `${message} (${address})`, false, error)
}

/**
 * @param inTransaction nothing is kept of a statement whose transaction broke before its COMMIT
 */
export function queryError(error: unknown, inTransaction: boolean): unknown {
  if (error instanceof StoreUnavailable || error instanceof QueryFailed) return error
  const { message, code } = plain(error)
  if (error instanceof pg.DatabaseError) {
    const reason = notNow(code)
    // An ERROR undid the statement. What ends the connection may have come after it took effect.
    if (reason) return unavailable(reason, message, !inTransaction && error.severity !== 'ERROR', error)
    return new QueryFailed(message, code, error.constraint ?? null, { cause: error })
  }
  if (UNSENT.test(message)) return unavailable('lost', message, false, error)
  if (NO_ANSWER.test(message)) return unavailable('timeout', message, !inTransaction, error)
  if (LOST.test(message) || SYSTEM_LOST.test(code)) return unavailable('lost', message, !inTransaction, error)
  return error
}

/** Whether the connection may be used again after this. */
export function leavesConnection(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !/^(?:08|57P|58|XX)/.test(error.code ?? '') && error.severity === 'ERROR'
}

function notNow(code: string): UnavailableReason | undefined {
  return NOT_NOW.get(code) ?? NOT_NOW.get(code.slice(0, 2))
}

function unavailable(
  reason: UnavailableReason,
  what: string,
  mayHaveCommitted: boolean,
  cause: unknown,
): StoreUnavailable {
  const hint = HINTS[reason]
  return new StoreUnavailable(reason, hint ? `${what}. ${hint}` : what, mayHaveCommitted, { cause })
}

/** Happy eyeballs collects one error an address, and has no message of its own. */
function plain(error: unknown): { message: string; code: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return plain(error.errors[0])
  if (!(error instanceof Error)) return { message: String(error), code: '' }
  return { message: error.message, code: 'code' in error ? String(error.code) : '' }
}

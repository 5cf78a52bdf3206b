import type { Socket } from 'node:net'

/** What Node's HTTP/2 session asks of its table of open streams. */
interface StreamTable {
  readonly size: number
  get(id: number): unknown
  set(id: number, stream: unknown): unknown
  delete(id: number): boolean
  forEach(visit: (stream: unknown, id: number) => void): void
}

/** The releases of Node whose sessions use their table in no other way than {@link StreamTable} says. */
const KNOWN_RELEASES = /^20\./

/** Streams that are opened before the table is made anew; more where many are open at a time. */
const RENEWED_AFTER = 256

/**
 * A map that is made anew now and then.
 *
 * V8's maps keep a fault of long lives: a table that a full collection found, and that the map has grown out of since, points to
 * its successor, so that each successor and all streams in it outlive every minor collection until the next full one. On
 * a connection that lives long, which those of gRPC do, collections cost three times as much from then on. A map that is
 * new has no predecessor.
 */
export class OpenStreams implements StreamTable {
  #streams = new Map<number, unknown>()
  #added = 0

  get size(): number {
    return this.#streams.size
  }

  get(id: number): unknown {
    return this.#streams.get(id)
  }

  set(id: number, stream: unknown): this {
    if (++this.#added > Math.max(RENEWED_AFTER, 4 * this.#streams.size)) {
      this.#streams = new Map(this.#streams)
      this.#added = 0
    }
    this.#streams.set(id, stream)
    return this
  }

  delete(id: number): boolean {
    return this.#streams.delete(id)
  }

  forEach(visit: (stream: unknown, id: number) => void): void {
    this.#streams.forEach(visit)
  }
}

/**
 * Gives the HTTP/2 session of a new connection such a table. Node has no public way to it, so it is put in only where
 * everything is as this code knows it, and before any stream is open.
 *
 * @returns false where it is not, and Node's own table stays, which only costs time
 */
export function renewStreamTable(socket: Socket): boolean {
  if (!KNOWN_RELEASES.test(process.versions.node)) return false
  const session = sessionOf(socket)
  const state = session === undefined ? undefined : underSymbol(session, 'state')
  if (!isObject(state) || !('streams' in state)) return false
  const { streams } = state
  if (!isStreamTable(streams) || streams.size > 0) return false
  state.streams = new OpenStreams()
  return true
}

/** The socket holds it under a name that Node left undefined: it is known by what a session can do. */
function sessionOf(socket: Socket): object | undefined {
  for (const key of Reflect.ownKeys(socket)) {
    const value: unknown = Reflect.get(socket, key)
    if (isObject(value) && 'pendingSettingsAck' in value && 'goaway' in value) return value
  }
  return undefined
}

/** Of the object's own symbol with this name. */
function underSymbol(object: object, name: string): unknown {
  const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === name)
  return symbol === undefined ? undefined : Reflect.get(object, symbol)
}

const METHODS = ['get', 'set', 'delete', 'forEach'] as const

function isStreamTable(value: unknown): value is StreamTable {
  return isObject(value) && 'size' in value && METHODS.every((name) => typeof Reflect.get(value, name) === 'function')
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

import { randomFillSync } from 'node:crypto'

/** A request id came again with another call. */
export class RequestIdReused extends Error {
  override readonly name = 'RequestIdReused'
  constructor(requestId: string) {
    super(`request_id \`${requestId}\` was used for another call`)
  }
}

export interface AnsweredRequestsOptions {
  /** How many answers are remembered; the oldest makes room. At least 1. */
  readonly maxEntries: number
  /** How long an answer is remembered, milliseconds from when the first request came in. */
  readonly ttlMs: number
}

/** Whose request id it is and under which policies, and the id. */
export interface RequestKey {
  readonly tenant: string
  readonly agent: string
  readonly revision: string
  readonly requestId: string
}

/** A request as it came: bytes `from` to `to`. */
export interface RequestBytes {
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
}

/** A remembered request; valid until the next one is remembered. */
export interface Remembered<T> {
  /** What was given with it. */
  readonly mark: string
  /** A copy of its bytes; empty when it came without. */
  readonly request: Buffer
  /** Calls back with its answer: now, or when there is one. */
  whenAnswered(taker: (answer: T) => void): void
}

/** A request that was remembered and whose answer is to come, for {@link AnsweredRequests.settle}. */
export type UnderWay<T> = object & { readonly [kind]: T }
declare const kind: unique symbol

interface Slot<T> {
  tenant: string
  agent: string
  revision: string
  requestId: string
  mark: string
  /** Null while the request is under way. */
  answer: T | null
  takers: ((answer: T) => void)[] | null
}

/** The key's texts as far as they are hashed; the rest is compared only. */
const HASHED_UNITS = 512
const FEWEST_SLOTS = 256
const CHUNK_BYTES = 256 * 1024
/** Longer requests are remembered by a mark alone. */
export const MOST_REQUEST_BYTES = 1_024

/**
 * Answers by request id, so that a retry gets the first answer and leaves no second record, also while the first is still
 * under way. Memory only: after a restart, after `ttlMs`, and when `maxEntries` newer ones pushed it out, a request id is as
 * good as new and its call is decided again.
 *
 * Made so that remembering costs the garbage collector nothing, since every call does it and hardly any comes again: slots in a
 * ring that are used again, requests as bytes in chunks, a hash table of numbers. Its hash is universal, with multipliers
 * drawn at the start, so that nobody can choose ids that collide.
 */
export class AnsweredRequests<T extends object> {
  readonly #maxEntries: number
  readonly #ttlMs: number
  readonly #multipliers = randomFillSync(new Int32Array(HASHED_UNITS))
  /** A power of two of slots; number n lies in slot n modulo their number. */
  #slots: Slot<T>[] = []
  // Of each slot, apart from it: what is read of many slots in a row must not be scattered over the heap.
  #hashes = new Int32Array(0)
  #expiresMs = new Float64Array(0)
  /** Where the request's bytes begin, counted from the first byte that was ever kept. */
  #positions = new Float64Array(0)
  #lengths = new Uint16Array(0)
  /** Slot + 1 by hash, 0 where there is none; linear probing, half full at most. */
  #index = new Int32Array(0)
  /** The key last looked for, with its hash. */
  #hashed: RequestKey | null = null
  #hashOf = 0
  #oldest = 0
  #next = 0
  readonly #chunks = new Map<number, Buffer>()
  #oldestChunk = 0
  #spare: Buffer | null = null
  #position = 0

  constructor(options: AnsweredRequestsOptions) {
    this.#maxEntries = options.maxEntries
    this.#ttlMs = options.ttlMs
    this.#grow(FEWEST_SLOTS)
  }

  /** How many are remembered, those that expired and were not looked at since among them. */
  get size(): number {
    return this.#next - this.#oldest
  }

  find(key: RequestKey, nowMs: number): Remembered<T> | null {
    this.#hashed = key
    this.#hashOf = this.#hash(key)
    const place = this.#placeOf(key, this.#hashOf)
    const found = this.#index[place]!
    if (found === 0) return null
    const slot = this.#slots[found - 1]!
    if (this.#expiresMs[found - 1]! <= nowMs) {
      this.#forget(found - 1)
      return null
    }
    return {
      mark: slot.mark,
      request: this.#bytesOf(found - 1),
      whenAnswered: (taker) => {
        if (slot.answer !== null) return taker(slot.answer)
        slot.takers ??= []
        slot.takers.push(taker)
      },
    }
  }

  /**
   * Remembers a request that {@link find} did not find.
   *
   * @param mark any text that helps to tell whether the same call comes again
   * @param request kept as a copy; null, or at most {@link MOST_REQUEST_BYTES}
   */
  remember(key: RequestKey, mark: string, request: RequestBytes | null, nowMs: number): UnderWay<T> {
    this.#makeRoom(nowMs)
    const at = this.#next++ & (this.#slots.length - 1)
    const slot = this.#slots[at]!
    slot.tenant = key.tenant
    slot.agent = key.agent
    slot.revision = key.revision
    slot.requestId = key.requestId
    slot.mark = mark
    slot.answer = null
    slot.takers = null
    // Found not to be there a moment ago, by the same key.
    const hash = this.#hashed === key ? this.#hashOf : this.#hash(key)
    this.#hashes[at] = hash
    this.#expiresMs[at] = nowMs + this.#ttlMs
    this.#lengths[at] = 0
    if (request !== null) this.#keep(at, request)
    this.#positions[at] = this.#position - this.#lengths[at]!
    this.#index[this.#placeOf(key, hash)] = at + 1
    return slot as unknown as UnderWay<T>
  }

  /** Gives the answer to everybody who waits, once. With `keep` false the id is as good as new afterwards. */
  settle(underWay: UnderWay<T>, answer: T, keep: boolean): void {
    const slot = underWay as unknown as Slot<T>
    const { takers } = slot
    slot.answer = answer
    slot.takers = null
    if (!keep) {
      const found = this.#index[this.#placeOf(slot, this.#hash(slot))]!
      // Unless it was pushed out meanwhile, and the id remembered anew.
      if (found > 0 && this.#slots[found - 1] === slot) this.#forget(found - 1)
    }
    if (takers !== null) for (const take of takers) take(answer)
  }

  #makeRoom(nowMs: number): void {
    while (this.size > 0 && this.#expiresMs[this.#oldest & (this.#slots.length - 1)]! <= nowMs) this.#dropOldest()
    if (this.size >= this.#maxEntries) this.#dropOldest()
    else if (this.size === this.#slots.length) this.#grow(this.#slots.length * 2)
  }

  #dropOldest(): void {
    const mask = this.#slots.length - 1
    const at = this.#oldest++ & mask
    const slot = this.#slots[at]!
    this.#forget(at)
    // One that is under way keeps its slot, for the answer and those who wait for it are still to come.
    if (slot.answer === null) this.#slots[at] = emptySlot()
    else slot.answer = null
    const first = this.size > 0 ? this.#positions[this.#oldest & mask]! : this.#position
    for (const chunk = Math.floor(first / CHUNK_BYTES); this.#oldestChunk < chunk; this.#oldestChunk++) {
      this.#spare = this.#chunks.get(this.#oldestChunk) ?? this.#spare
      this.#chunks.delete(this.#oldestChunk)
    }
  }

  #keep(at: number, { bytes, from, to }: RequestBytes): void {
    const length = to - from
    if (length > MOST_REQUEST_BYTES) throw new RangeError(`a request of ${length} bytes is too long to be kept`)
    // None lies over two chunks.
    const room = CHUNK_BYTES - (this.#position % CHUNK_BYTES)
    if (room < length) this.#position += room
    const number = Math.floor(this.#position / CHUNK_BYTES)
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      chunk = this.#spare ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
      this.#spare = null
      this.#chunks.set(number, chunk)
    }
    if (length === bytes.length) chunk.set(bytes, this.#position % CHUNK_BYTES)
    else bytes.copy(chunk, this.#position % CHUNK_BYTES, from, to)
    this.#lengths[at] = length
    this.#position += length
  }

  #bytesOf(at: number): Buffer {
    const position = this.#positions[at]!
    const length = this.#lengths[at]!
    const chunk = this.#chunks.get(Math.floor(position / CHUNK_BYTES))
    const start = position % CHUNK_BYTES
    return length === 0 || chunk === undefined ? Buffer.alloc(0) : chunk.subarray(start, start + length)
  }

  /** Multilinear: the random multipliers make any two keys collide with the odds of the upper bits. */
  #hash({ agent, requestId }: RequestKey): number {
    const multipliers = this.#multipliers
    let hash = 0
    const ids = Math.min(requestId.length, HASHED_UNITS)
    for (let i = 0; i < ids; i++) hash = (hash + Math.imul(multipliers[i]!, requestId.charCodeAt(i) + 1)) | 0
    const names = Math.min(agent.length, HASHED_UNITS - ids)
    for (let i = 0; i < names; i++) hash = (hash + Math.imul(multipliers[ids + i]!, agent.charCodeAt(i) + 1)) | 0
    return hash
  }

  #home(hash: number): number {
    return hash >>> (Math.clz32(this.#index.length) + 1)
  }

  /** Where the key is in the index, or where it would go. */
  #placeOf({ tenant, agent, revision, requestId }: RequestKey, hash: number): number {
    const mask = this.#index.length - 1
    for (let place = this.#home(hash); ; place = (place + 1) & mask) {
      const found = this.#index[place]!
      if (found === 0) return place
      if (this.#hashes[found - 1] !== hash) continue
      const slot = this.#slots[found - 1]!
      const isSame = slot.requestId === requestId && slot.agent === agent
      if (isSame && slot.revision === revision && slot.tenant === tenant) return place
    }
  }

  /** Takes a slot out of the index and closes the gap, so that no search ends too early. */
  #forget(at: number): void {
    const mask = this.#index.length - 1
    let gap = this.#home(this.#hashes[at]!)
    while (this.#index[gap] !== at + 1) {
      if (this.#index[gap] === 0) return
      gap = (gap + 1) & mask
    }
    this.#index[gap] = 0
    for (let place = (gap + 1) & mask; this.#index[place] !== 0; place = (place + 1) & mask) {
      const home = this.#home(this.#hashes[this.#index[place]! - 1]!)
      if (((place - home) & mask) < ((place - gap) & mask)) continue
      this.#index[gap] = this.#index[place]!
      this.#index[place] = 0
      gap = place
    }
  }

  #grow(count: number): void {
    const before = {
      slots: this.#slots,
      hashes: this.#hashes,
      expiresMs: this.#expiresMs,
      positions: this.#positions,
      lengths: this.#lengths,
    }
    const indexed = new Set<number>([...this.#index].filter((found) => found > 0))
    this.#slots = Array.from({ length: count }, () => emptySlot<T>())
    this.#hashes = new Int32Array(count)
    this.#expiresMs = new Float64Array(count)
    this.#positions = new Float64Array(count)
    this.#lengths = new Uint16Array(count)
    this.#index = new Int32Array(2 * count)
    for (let number = this.#oldest; number < this.#next; number++) {
      const was = number & (before.slots.length - 1)
      const at = number & (count - 1)
      const slot = before.slots[was]!
      this.#slots[at] = slot
      this.#hashes[at] = before.hashes[was]!
      this.#expiresMs[at] = before.expiresMs[was]!
      this.#positions[at] = before.positions[was]!
      this.#lengths[at] = before.lengths[was]!
      if (indexed.has(was + 1)) this.#index[this.#placeOf(slot, this.#hashes[at]!)] = at + 1
    }
  }
}

function emptySlot<T>(): Slot<T> {
  return {
    tenant: '',
    agent: '',
    revision: '',
    requestId: '',
    mark: '',
    answer: null,
    takers: null,
  }
}

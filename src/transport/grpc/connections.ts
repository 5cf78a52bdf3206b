import type { Socket } from 'node:net'
import type { Log } from '../../model/log.js'

export interface ConnectionLimits {
  /** Connections open at a time; a further one is closed at once. At least 1. */
  readonly maxConnections: number
  /** Bytes of messages in memory, finished or not, beyond which the connection that sent most is cut. */
  readonly maxBufferedBytes: number
}

const LOOK_EVERY_MS = 250
/** How often refused connections are logged, milliseconds. */
const SAY_EVERY_MS = 10_000

/**
 * The open connections and what they may take. A connection may open a thousand streams and leave a message of 4 MiB
 * unfinished in each; the library keeps them all. So memory is looked at: while buffers hold more than they may, the
 * connection that has sent most since they last held little is cut, one at a look.
 */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #log: Log
  /** Bytes that each had sent when there was room. */
  readonly #open = new Map<Socket, number>()
  readonly #looking: NodeJS.Timeout
  #wasOver = false
  #refused = 0
  #saidMs = Number.NEGATIVE_INFINITY

  constructor(limits: ConnectionLimits, log: Log) {
    this.#limits = limits
    this.#log = log
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS).unref()
  }

  /** @returns false when there are too many; the socket is closed then */
  add(socket: Socket): boolean {
    // The library listens once the connection is its own; a reset before that must not end the process.
    socket.on('error', () => socket.destroy())
    if (this.#open.size >= this.#limits.maxConnections) {
      socket.destroy()
      this.#sayRefused()
      return false
    }
    this.#open.set(socket, 0)
    socket.once('close', () => this.#open.delete(socket))
    return true
  }

  /** Cuts all of them and looks no more. */
  close(): void {
    clearInterval(this.#looking)
    for (const socket of this.#open.keys()) socket.destroy()
  }

  #look(): void {
    if (this.#open.size === 0) return
    const held = process.memoryUsage().arrayBuffers
    const { maxBufferedBytes } = this.#limits
    if (held < maxBufferedBytes / 2) for (const socket of this.#open.keys()) this.#open.set(socket, socket.bytesRead)
    // Once is not enough: what is held may be garbage that the next collection takes.
    const isOver = held > maxBufferedBytes
    if (isOver && this.#wasOver) this.#cutHeaviest(held)
    this.#wasOver = isOver
  }

  #cutHeaviest(held: number): void {
    let heaviest: Socket | undefined
    let most = 0
    let all = 0
    for (const [socket, before] of this.#open) {
      const sent = socket.bytesRead - before
      all += sent
      if (sent > most) [heaviest, most] = [socket, sent]
    }
    // Where the open ones have not sent what is held, it is garbage of those that were cut.
    if (heaviest === undefined || all < held - this.#limits.maxBufferedBytes / 2) return
    this.#log.warn('connection cut: messages fill the memory', {
      held,
      limit: this.#limits.maxBufferedBytes,
      sent: most,
      remote: `${heaviest.remoteAddress}:${heaviest.remotePort}`,
    })
    heaviest.destroy()
  }

  #sayRefused(): void {
    this.#refused++
    const nowMs = performance.now()
    if (nowMs - this.#saidMs < SAY_EVERY_MS) return
    this.#saidMs = nowMs
    this.#log.warn('connections refused: too many are open', {
      refused: this.#refused,
      limit: this.#limits.maxConnections,
    })
  }
}

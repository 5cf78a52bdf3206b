import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Frame types of RFC 9113. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8 } as const
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** @param length what the header claims, where that is to be a lie */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
  length?: number,
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length ?? payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Header fields as HPACK literals without indexing and without Huffman coding. */
export function hpack(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), hpackText(name), hpackText(value)]))
}

function hpackText(text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

export function requestFields(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return hpack([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ])
}

export function headers(stream: number, path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return frame(FRAME.headers, FLAG.endHeaders, stream, requestFields(path, more))
}

/** A message of gRPC with its five bytes before it. */
export function grpcMessage(body: Buffer, options: { compressed?: boolean; length?: number } = {}): Buffer {
  const head = Buffer.alloc(5)
  head[0] = options.compressed === true ? 1 : 0
  head.writeUInt32BE(options.length ?? body.length, 1)
  return Buffer.concat([head, body])
}

/** A connection that says what it is told, frame by frame, and keeps what comes back. */
export class RawConnection {
  readonly frames: Frame[] = []
  readonly #socket: Socket
  readonly #changes = new EventEmitter()
  #rest: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#take(bytes)
      this.#changes.emit('change')
    })
    socket.on('error', () => {})
    socket.on('close', () => this.#changes.emit('change'))
  }

  /** @param greet sends preface and empty settings */
  static async open(address: string, options: { greet?: boolean } = {}): Promise<RawConnection> {
    const [host, port] = address.split(':') as [string, string]
    const socket = connect(Number(port), host)
    await once(socket, 'connect')
    const connection = new RawConnection(socket)
    if (options.greet !== false) connection.send(PREFACE, frame(FRAME.settings, 0, 0))
    return connection
  }

  send(...parts: readonly Buffer[]): void {
    if (!this.isClosed) this.#socket.write(Buffer.concat(parts))
  }

  /** Sends, and resolves when the bytes are out or the other side is gone. */
  async sent(...parts: readonly Buffer[]): Promise<void> {
    if (this.isClosed) return
    await new Promise<void>((resolve) => {
      this.#socket.once('close', resolve)
      this.#socket.write(Buffer.concat(parts), () => {
        this.#socket.off('close', resolve)
        resolve()
      })
    })
  }

  get isClosed(): boolean {
    return this.#socket.destroyed
  }

  /** Stops reading: the kernel's buffers fill, then the server's. */
  deaf(): void {
    this.#socket.pause()
  }

  /** Resolves once it holds; looked at whenever something came in, and when the connection is closed. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.#changes, 'change')
  }

  /** Resolves with the error code of the first GOAWAY, or `closed` where the connection ended without one. */
  async end(): Promise<number | 'closed'> {
    const goaway = () => this.frames.find(({ type }) => type === FRAME.goaway)
    await this.until(() => this.isClosed || goaway() !== undefined)
    return goaway()?.payload.readUInt32BE(4) ?? 'closed'
  }

  /** Resolves with the error code by which the stream was reset. */
  async reset(stream: number): Promise<number | 'closed'> {
    const found = () => this.frames.find((frame) => frame.type === FRAME.reset && frame.stream === stream)
    await this.until(() => this.isClosed || found() !== undefined)
    return found()?.payload.readUInt32BE(0) ?? 'closed'
  }

  vanish(): void {
    this.#socket.resetAndDestroy()
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    for (;;) {
      if (this.#rest.length < 9) return
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) return
      const payload = this.#rest.subarray(9, 9 + length)
      this.frames.push({
        type: this.#rest[3]!,
        flags: this.#rest[4]!,
        stream: this.#rest.readUInt32BE(5),
        payload,
      })
      this.#rest = this.#rest.subarray(9 + length)
    }
  }
}

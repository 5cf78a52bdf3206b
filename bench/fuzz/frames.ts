import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connect, type PortcullisClient } from '../../sdk/typescript/client.js'
import { type App, startApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import type { Log } from '../../src/model/log.js'
import {
  FLAG,
  FRAME,
  frame,
  grpcMessage,
  headers,
  hpack,
  PREFACE,
  RawConnection,
} from '../../test/hostile/raw-http2.js'
import { encode, POLICY } from '../../test/server/harness.js'
import { Random } from '../demo/random.js'
import type { Fuzzer } from './fuzzer.js'

const CONNECTIONS_A_STEP = 4
const METHODS = ['Decide', 'DecideBatch', 'DecideStream', 'Explain', 'VisibleTools', 'Nothing']
const call = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', requestId: 'r' }

let app: App
let client: PortcullisClient
let folder = ''
let failures = 0

const silent = (): void => {}
const log: Log = {
  debug: silent,
  info: silent,
  warn: silent,
  error: () => {
    failures++
  },
}

export const fuzzer: Fuzzer = {
  about:
    'HTTP/2 frames and gRPC messages from raw sockets: the server answers others as before and calls nothing its own failure',
  async open() {
    folder = mkdtempSync(path.join(tmpdir(), 'portcullis-fuzz-'))
    writeFileSync(path.join(folder, 'support.policy'), POLICY)
    const paths = ['--policies', folder, '--data', `${folder}-data`, '--listen', '127.0.0.1:0']
    app = await startApp(
      readConfig([...paths, '--audit-store', 'none', '--control-store', 'none', '--drain-ms', '3000'], {}),
      log,
    )
    client = connect(app.address)
  },
  async step(seed) {
    const random = new Random(seed)
    const mismatches: string[] = []
    for (let i = 0; i < CONNECTIONS_A_STEP; i++) {
      const connection = await RawConnection.open(app.address, { greet: false })
      await connection.sent(conversation(random))
      const { outcome } = await client.decide({ ...call, requestId: '' })
      if (outcome !== 'ALLOW') mismatches.push(`answers ${outcome} to a call that is allowed`)
      connection.vanish()
    }
    if (failures > 0) mismatches.push(`${failures} failures of the server's own in its log`)
    failures = 0
    return { decisions: 0, inputs: CONNECTIONS_A_STEP, mismatches }
  },
  async close() {
    client.close()
    await app.close()
    rmSync(folder, { recursive: true, force: true })
    rmSync(`${folder}-data`, { recursive: true, force: true })
  },
}

/** A good beginning, then frames of which each is right, nearly right or noise; a few bytes are changed at the end. */
function conversation(random: Random): Buffer {
  const parts = [PREFACE, frame(FRAME.settings, 0, 0)]
  for (let i = random.int(1, 30); i > 0; i--) parts.push(anyFrame(random))
  const all = Buffer.concat(parts)
  for (let i = random.int(0, 4); i > 0; i--) all[random.int(0, all.length - 1)] = random.int(0, 255)
  return random.int(0, 4) === 0 ? all.subarray(0, random.int(0, all.length)) : all
}

function anyFrame(random: Random): Buffer {
  const stream = random.pick([0, 1, 1, 1, 3, 5, 7, 2, 0x7fffffff])
  const noise = (): Buffer => Buffer.from(Array.from({ length: random.int(0, 64) }, () => random.int(0, 255)))
  switch (random.int(0, 7)) {
    case 0:
    case 1:
      return headers(stream, `/portcullis.v1.DecisionService/${random.pick(METHODS)}`, more(random))
    case 2:
    case 3:
      return frame(FRAME.data, random.pick([0, 0, FLAG.endStream, FLAG.padded]), stream, message(random))
    case 4:
      return frame(FRAME.continuation, random.pick([0, FLAG.endHeaders]), stream, hpack([['a', 'b']]))
    case 5:
      return frame(FRAME.window, 0, stream, Buffer.from([random.int(0, 255), 0, 0, random.int(0, 255)]))
    case 6:
      return frame(FRAME.reset, 0, stream, Buffer.from([0, 0, 0, random.int(0, 13)]))
    default:
      return frame(
        random.int(0, 12),
        random.int(0, 255),
        stream,
        noise(),
        random.int(0, 5) === 0 ? random.int(0, 100) : undefined,
      )
  }
}

function more(random: Random): readonly (readonly [string, string])[] {
  return random.pick<readonly (readonly [string, string])[]>([
    [],
    [],
    [['grpc-timeout', random.pick(['1S', '0n', 'x', '99999999H', '-1m'])]],
    [['grpc-encoding', random.pick(['gzip', 'identity', 'deflate', 'zstd', ''])]],
    [['authorization', 'Bearer x']],
    [['grpc-trace-bin', '%%%']],
  ])
}

function message(random: Random): Buffer {
  const good = encode('portcullis.v1.DecideRequest', { ...call, argumentsJson: Buffer.from('{"order_id":"A1"}') })
  const body = Buffer.from(good)
  for (let i = random.int(0, 3); i > 0; i--) body[random.int(0, body.length - 1)] = random.int(0, 255)
  return random.int(0, 4) === 0
    ? grpcMessage(body, { compressed: random.int(0, 1) === 0, length: random.int(0, 300) })
    : grpcMessage(body)
}

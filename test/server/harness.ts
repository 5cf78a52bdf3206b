import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import type { MessageTypeDefinition } from '@grpc/proto-loader'
import { connect, type PortcullisClient } from '../../sdk/typescript/client.js'
import { type App, startApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import type { Log, LogFields } from '../../src/model/log.js'
import { packageDefinition } from '../../src/transport/grpc/proto.js'

/** What the tests' policies say, in one small file. */
export const POLICY = `policy support "Support agents"
for agent like "support-*"
default allow

tool issue_refund    { order_id: string, amount: number }  tags [money]
tool delete_customer { customer_id: string }
tool read_order      { order_id: string }

rule DENY_DELETE "Customer data is never deleted" {
  on   tool delete_customer
  deny "Customer deletion is not available to agents"
}

rule APPROVE_LARGE_REFUND "Refunds over $100 need a manager" {
  on   tool issue_refund, env prod
  when args.amount > 100
  require approval from support-manager within 5m
}
`

export interface LoggedLine {
  readonly level: string
  readonly event: string
  readonly fields: LogFields
}

/** Keeps the log and lets a test wait for an event instead of for a time. */
export class TestLog implements Log {
  readonly lines: LoggedLine[] = []
  #waiting: { event: string; resolve: (line: LoggedLine) => void }[] = []

  debug = (event: string, fields: LogFields = {}): void => this.#add('debug', event, fields)
  info = (event: string, fields: LogFields = {}): void => this.#add('info', event, fields)
  warn = (event: string, fields: LogFields = {}): void => this.#add('warn', event, fields)
  error = (event: string, fields: LogFields = {}): void => this.#add('error', event, fields)

  /** The next line with this event. */
  next(event: string): Promise<LoggedLine> {
    return new Promise((resolve) => {
      this.#waiting.push({ event, resolve })
    })
  }

  #add(level: string, event: string, fields: LogFields): void {
    const line = { level, event, fields }
    this.lines.push(line)
    const [now, later] = [
      this.#waiting.filter((w) => w.event === event),
      this.#waiting.filter((w) => w.event !== event),
    ]
    this.#waiting = later
    for (const { resolve } of now) resolve(line)
  }
}

interface Teardown {
  teardown(work: () => unknown): void
}

/** A folder that goes with the test. */
export function tempFolder(t: Teardown, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

export interface Running {
  readonly app: App
  readonly client: PortcullisClient
  readonly log: TestLog
  readonly policies: string
  readonly data: string
}

/** A whole server on a port of its own, closed with the test. Records stay in the spool unless `argv` says otherwise. */
export async function startServer(
  t: Teardown,
  options: {
    readonly policies?: Readonly<Record<string, string>>
    readonly argv?: readonly string[]
    readonly data?: string
  } = {},
): Promise<Running> {
  const policies = tempFolder(t, options.policies ?? { 'support.policy': POLICY })
  const data = options.data ?? join(tempFolder(t), 'data')
  const paths = ['--policies', policies, '--data', data, '--listen', '127.0.0.1:0']
  const stores = ['--audit-store', 'none', '--control-store', 'none']
  const config = readConfig([...paths, ...stores, '--drain-ms', '3000', ...(options.argv ?? [])], {})
  const log = new TestLog()
  const app = await startApp(config, log)
  const client = connect(app.address)
  t.teardown(async () => {
    client.close()
    await app.close()
  })
  return { app, client, log, policies, data }
}

export interface RawAnswer {
  readonly error: ServiceError | null
  readonly response: Buffer | null
}

/** Bytes in, bytes out: what no proper client would send. */
export function callRaw(address: string, path: string, request: Buffer): Promise<RawAnswer> {
  const client = new Client(address, credentials.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, request, (error, response) => {
      client.close()
      resolve({ error, response: response ?? null })
    })
  })
}

export function encode(type: string, message: object): Buffer {
  return (packageDefinition[type] as MessageTypeDefinition<object, object>).serialize(message)
}

export function decode<T>(type: string, bytes: Buffer): T {
  return (packageDefinition[type] as MessageTypeDefinition<object, object>).deserialize(bytes) as T
}

/** google.protobuf.Struct of a plain value, as the loader takes it. */
export function toStruct(value: Readonly<Record<string, unknown>>): object {
  return { fields: Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toValue(item)])) }
}

function toValue(value: unknown): object {
  if (value === null) return { nullValue: 'NULL_VALUE' }
  if (typeof value === 'number') return { numberValue: value }
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'bigint') throw new RangeError('a Struct holds no integer past 2^53')
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } }
  return { structValue: toStruct(value as Record<string, unknown>) }
}

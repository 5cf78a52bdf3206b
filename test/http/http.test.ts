import { readFileSync } from 'node:fs'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as connectSocket } from 'node:net'
import t from 'tap'
import { HTTP_REASONS } from '../../src/transport/http/errors.js'
import { routesOf } from '../../src/transport/http/routes.js'
import { startServer } from '../server/harness.js'

// The services over JSON, as people with curl meet them.

const HTTP = ['--http', '127.0.0.1:0']
const EMBEDDED = ['--control-store', 'embedded']
const PROTO_FILES = ['decision', 'audit', 'approval', 'kill_switch', 'admin']

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  // What a test looks into is held by the assertion.
  readonly body: {
    readonly error?: { readonly code: string; readonly reason: string; readonly message: string }
  } & Record<string, unknown>
}

interface Asked {
  readonly path: string
  readonly body?: string | Buffer | object
  readonly method?: string
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
}

function open(address: string, { path, body = {}, method = 'POST', key, headers = {} }: Asked): ClientRequest {
  const [host, port] = address.split(':')
  const request = httpRequest({
    host,
    port,
    path,
    method,
    agent: false,
    headers: {
      'content-type': 'application/json',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...headers,
    },
  })
  const isRaw = typeof body === 'string' || Buffer.isBuffer(body)
  return request.end(method !== 'POST' ? undefined : isRaw ? body : JSON.stringify(body))
}

function ask(address: string, asked: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = open(address, asked)
    request.once('error', reject)
    request.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          body: JSON.parse(text) as Answer['body'],
        })
      })
    })
  })
}

/** The lines of a stream, one at a time. */
async function watch(
  address: string,
  asked: Asked,
): Promise<{ next(): Promise<Record<string, unknown> | null>; leave(): void }> {
  const request = open(address, asked)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.once('error', reject)
  })
  request.on('error', () => undefined)
  const lines = (async function* () {
    let rest = ''
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const parts = (rest + chunk.toString()).split('\n')
      rest = parts.pop() ?? ''
      for (const line of parts) if (line !== '') yield JSON.parse(line) as Record<string, unknown>
    }
  })()
  return {
    next: async () => {
      const { value, done } = await lines.next()
      return done ? null : value
    },
    leave: () => request.destroy(),
  }
}

const refund = (amount: number, more: object = {}): object => ({
  agent: { id: 'support-1' },
  tool: 'issue_refund',
  environment: 'prod',
  arguments_json: { order_id: 'A1', amount },
  ...more,
})
const DECIDE = '/v1/DecisionService/Decide'

t.test('there is a route for each method of the contract to which clients do not stream, and none else', (t) => {
  const methods = PROTO_FILES.flatMap((file) => {
    const text = readFileSync(`proto/portcullis/v1/${file}.proto`, 'utf8')
    const service = /^service (\w+)/m.exec(text)?.[1]
    return [...text.matchAll(/^ {2}rpc (\w+)\((stream )?[\w.]+\) returns \((stream )?/gm)]
      .filter(([, , streams]) => streams === undefined)
      .map(([, method, , streams]) => `/v1/${service}/${method}${streams === undefined ? '' : ' stream'}`)
  })
  const routes = routesOf([]).map(({ url, isStream }) => `${url}${isStream ? ' stream' : ''}`)
  t.same(routes.toSorted(), methods.toSorted())
  t.ok(routes.length > 35 && routes.includes('/v1/ApprovalService/WatchQueue stream'))
  t.end()
})

t.test('names of fields are those of the contract', (t) => {
  const names = new Set<string>()
  for (const file of PROTO_FILES) {
    const text = readFileSync(`proto/portcullis/v1/${file}.proto`, 'utf8')
    for (const [, name = ''] of text.matchAll(/^\s+(?:repeated )?(?:map<.*>|[\w.]+) (\w+) = \d+;/gm)) names.add(name)
  }
  for (const route of routesOf([])) {
    const error = t.throws(() => route.read(Buffer.from('{"?":1}'))) as { message?: string } | undefined
    const known = /there are (.*)$/.exec(error?.message ?? '')?.[1] ?? ''
    for (const name of known.split(', ')) t.ok(known === 'none' || names.has(name), `${route.url} ${name}`)
  }
  t.end()
})

t.test('a server without control state: decisions, their forms, and what is refused', async (t) => {
  const { app, client } = await startServer(t, { argv: HTTP })
  const at = app.httpAddress ?? ''

  t.match(await ask(at, { path: '/healthz', method: 'GET' }), { status: 200, body: { status: 'ok' } })
  t.match(await ask(at, { path: '/readyz', method: 'GET' }), { status: 200, body: { status: 'ok' } })

  const allowed = await ask(at, { path: DECIDE, body: refund(50, { request_id: 'r1' }) })
  t.match(allowed, {
    status: 200,
    headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
    body: { outcome: 'ALLOW', reason_code: 'DEFAULT_ALLOW', request_id: 'r1', matched_rules: [] },
  })
  t.notOk('access-control-allow-origin' in allowed.headers)
  const again = await ask(at, { path: DECIDE, body: refund(50, { requestId: 'r1' }) })
  t.equal(again.text, allowed.text, 'the same request id gets the same answer, in either spelling')
  const reused = await ask(at, { path: DECIDE, body: refund(51, { request_id: 'r1' }) })
  t.match(reused, {
    status: 409,
    body: { error: { code: 'ALREADY_EXISTS', reason: 'REQUEST_ID_REUSED', details: { field: 'request_id' } } },
  })
  const overGrpc = await client.decide({
    requestId: 'r1',
    agent: { id: 'support-1' },
    tool: 'issue_refund',
    environment: 'prod',
    arguments: { order_id: 'A1', amount: 50 },
  })
  t.equal(overGrpc.decisionId, allowed.body.decision_id, 'and one listener knows what the other answered')

  const asked = await ask(at, { path: DECIDE, body: refund(450) })
  t.match(asked.body, {
    outcome: 'REQUIRE_APPROVAL',
    approval: { requirements: [{ stages: [{ from: [{ count: 1, role: 'support-manager' }] }], within_ms: 300_000 }] },
  })
  const { arguments_json: args, ...call } = refund(50) as { arguments_json: object }
  t.match(await ask(at, { path: DECIDE, body: { ...call, argumentsStruct: args } }), { body: { outcome: 'ALLOW' } })
  const batch = { requests: [refund(50), refund(450), { ...refund(50), tool: '' }] }
  t.match(await ask(at, { path: '/v1/DecisionService/DecideBatch', body: batch }), {
    status: 200,
    body: {
      results: [
        { response: { outcome: 'ALLOW' } },
        { response: { outcome: 'REQUIRE_APPROVAL' } },
        { error: { reason: 'FIELD_REQUIRED' } },
      ],
    },
  })
  t.match(await ask(at, { path: '/v1/DecisionService/Explain', body: refund(50) }), {
    body: { decision: { near_misses: [{ rule_id: 'APPROVE_LARGE_REFUND', failed: [{ unknown: false }] }] } },
  })

  const text = JSON.stringify(refund(50))
  const deep = `{"arguments_json":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
  const refused: Readonly<Record<string, readonly [Asked, number, string, RegExp]>> = {
    'no JSON': [{ path: DECIDE, body: '{' }, 400, 'MESSAGE_UNDECODABLE', /expected a key/],
    'nothing at all': [{ path: DECIDE, body: '' }, 400, 'MESSAGE_UNDECODABLE', /end of the text/],
    'a list': [{ path: DECIDE, body: [] }, 400, 'FIELD_INVALID', /must be an object, and is a list/],
    'no UTF-8': [{ path: DECIDE, body: Buffer.from([0x7b, 0xff]) }, 400, 'MESSAGE_UNDECODABLE', /UTF-8/],
    'a key twice': [{ path: DECIDE, body: '{"tool":"a","tool":"b"}' }, 400, 'MESSAGE_UNDECODABLE', /given twice/],
    'a key in both spellings': [
      { path: DECIDE, body: { sessionId: 'a', session_id: null } },
      400,
      'FIELD_INVALID',
      /both spellings/,
    ],
    'the key __proto__': [{ path: DECIDE, body: '{"__proto__":{}}' }, 400, 'MESSAGE_UNDECODABLE', /__proto__/],
    'a label __proto__': [
      { path: DECIDE, body: '{"agent":{"id":"a","labels":{"__proto__":"x"}}}' },
      400,
      'MESSAGE_UNDECODABLE',
      /__proto__/,
    ],
    'the name constructor': [
      { path: DECIDE, body: { constructor: 1 } },
      400,
      'FIELD_INVALID',
      /no field of this message/,
    ],
    '10,000 levels': [{ path: DECIDE, body: deep }, 400, 'MESSAGE_UNDECODABLE', /nested deeper/],
    '65 levels of arguments': [
      { path: DECIDE, body: text.replace('{"order_id":"A1","amount":50}', `{"a":${'['.repeat(64)}${']'.repeat(64)}}`) },
      400,
      'ARGUMENTS_INVALID',
      /nested deeper than the limit of 64/,
    ],
    'an unknown field': [{ path: DECIDE, body: refund(1, { tol: 1 }) }, 400, 'FIELD_INVALID', /"tol" is no field/],
    'an unknown field within': [
      { path: DECIDE, body: refund(1, { agent: { id: 'a', x: 1 } }) },
      400,
      'FIELD_INVALID',
      /agent\."x" is no field/,
    ],
    'a number for a text': [
      { path: DECIDE, body: refund(1, { tool: 1 }) },
      400,
      'FIELD_INVALID',
      /tool must be a string/,
    ],
    'a text for a flag': [
      { path: DECIDE, body: refund(1, { dry_run: 'true' }) },
      400,
      'FIELD_INVALID',
      /dry_run must be true or false/,
    ],
    'both forms of arguments': [
      { path: DECIDE, body: refund(1, { arguments_struct: {} }) },
      400,
      'FIELD_INVALID',
      /only one of them/,
    ],
    'an integer that a Struct cannot hold': [
      { path: DECIDE, body: '{"arguments_struct":{"n":9007199254740993}}' },
      400,
      'FIELD_INVALID',
      /give it in arguments_json/,
    ],
    'no agent': [{ path: DECIDE }, 400, 'FIELD_REQUIRED', /agent is missing/],
    'a form': [
      { path: DECIDE, body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'CONTENT_TYPE_UNSUPPORTED',
      /application\/json/,
    ],
    'JSON as text': [
      { path: DECIDE, body: text, headers: { 'content-type': 'text/plain' } },
      415,
      'CONTENT_TYPE_UNSUPPORTED',
      /must be JSON/,
    ],
    'JSON in another encoding': [
      { path: DECIDE, body: text, headers: { 'content-type': 'application/json; charset=utf-16' } },
      415,
      'CONTENT_TYPE_UNSUPPORTED',
      /UTF-8/,
    ],
    'no type': [
      { path: DECIDE, body: text, headers: { 'content-type': '' } },
      415,
      'CONTENT_TYPE_UNSUPPORTED',
      /must be JSON/,
    ],
    'GET on a method': [{ path: DECIDE, method: 'GET' }, 405, 'METHOD_NOT_ALLOWED', /POST/],
    'a preflight': [{ path: DECIDE, method: 'OPTIONS' }, 405, 'METHOD_NOT_ALLOWED', /POST/],
    'no such method': [{ path: '/v1/DecisionService/Decode' }, 404, 'ROUTE_NOT_FOUND', /no such path/],
    'a method that clients stream to': [
      { path: '/v1/DecisionService/DecideStream' },
      404,
      'ROUTE_NOT_FOUND',
      /no such path/,
    ],
    'a broken path': [{ path: '/%zz' }, 400, 'REQUEST_MALFORMED', /path/],
    'a method of the control store': [{ path: '/v1/AdminService/ListKeys' }, 501, 'NOT_SERVED', /--control-store/],
    'a search without a store': [{ path: '/v1/AuditService/Totals' }, 503, 'AUDIT_STORE_UNAVAILABLE', /none/],
    'a stream that fails at once': [{ path: '/v1/AuditService/Tail' }, 503, 'AUDIT_STORE_UNAVAILABLE', /none/],
    'a time that is none': [
      { path: '/v1/AuditService/Totals', body: { from: '2026-02-30T00:00:00Z' } },
      400,
      'FIELD_INVALID',
      /from must be a time such as/,
    ],
    'a count that is none': [
      { path: '/v1/AuditService/Totals', body: { limit: -1 } },
      400,
      'FIELD_INVALID',
      /limit must be a whole number/,
    ],
    'a rebound name': [
      { path: DECIDE, headers: { host: 'evil.example:80' } },
      421,
      'HOST_NOT_ALLOWED',
      /Host names another/,
    ],
    'a name that begins like ours': [
      { path: '/healthz', method: 'GET', headers: { host: '127.0.0.1.evil.example' } },
      421,
      'HOST_NOT_ALLOWED',
      /./,
    ],
  }
  for (const [name, [asked, status, reason, message]] of Object.entries(refused)) {
    const { body, ...answer } = await ask(at, asked)
    t.match({ status: answer.status, ...body.error }, { status, reason, message }, name)
    t.equal(answer.headers['x-content-type-options'], 'nosniff', name)
  }
  for (const host of ['localhost:1', '[::1]:1', '127.0.0.1']) {
    t.match(await ask(at, { path: '/healthz', method: 'GET', headers: { host } }), { status: 200 }, host)
  }
  t.match(await oversized(at), /^HTTP\/1\.1 413 [\s\S]*"BODY_TOO_LARGE"/)
  t.match(await spoken(at, 'no HTTP\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"REQUEST_MALFORMED"/)
  t.same(app.underWay, { calls: 0, streams: 0 })
})

/** Says so much and hears the answer, whatever becomes of the connection. */
function spoken(address: string, text: string): Promise<string> {
  const [host = '', port = ''] = address.split(':')
  return new Promise((resolve) => {
    const socket = connectSocket(Number(port), host, () => socket.write(text))
    let heard = ''
    socket.on('data', (chunk) => {
      heard += chunk.toString()
      socket.end()
    })
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(heard))
  })
}

function oversized(address: string): Promise<string> {
  return spoken(
    address,
    `POST ${DECIDE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 4194305\r\n\r\n`,
  )
}

t.test('an approval from its request to its use, by keys; streams that end', async (t) => {
  const { app } = await startServer(t, { argv: [...HTTP, ...EMBEDDED] })
  const at = app.httpAddress ?? ''
  const made = async (body: object, key?: string): Promise<string> => {
    const answer = await ask(at, { path: '/v1/AdminService/CreateKey', body, ...(key !== undefined && { key }) })
    t.equal(answer.status, 200, 'a key is made')
    return String(answer.body.secret)
  }
  const admin = await made({ subject: 'alice@example.com', roles: ['admin'] })
  const agent = await made({ subject: 'support-1', roles: ['agent'], owner: 'carol@example.com' }, admin)
  const approver = await made(
    { subject: 'bob@example.com', roles: ['approver'], approver_roles: ['support-manager'], days: '30' },
    admin,
  )

  const stranger = await ask(at, { path: DECIDE, body: refund(450) })
  t.match(stranger, {
    status: 401,
    headers: { 'www-authenticate': 'Bearer' },
    body: { error: { reason: 'UNAUTHENTICATED' } },
  })
  t.match(
    await ask(at, { path: DECIDE, body: '{', key: 'pk_live_nonsense' }),
    { status: 401 },
    'before the body is looked at',
  )
  t.match(await ask(at, { path: DECIDE, body: refund(450), key: admin }), {
    status: 403,
    body: { error: { reason: 'PERMISSION_DENIED' } },
  })
  t.match(await ask(at, { path: '/v1/ApprovalService/WatchQueue', key: agent }), { status: 403 })

  const queue = await watch(at, { path: '/v1/ApprovalService/WatchQueue', key: approver })
  t.same(await queue.next(), { synced: true })
  const { body: asked } = await ask(at, { path: DECIDE, body: refund(450), key: agent })
  const { approval_id: id } = asked.approval as { approval_id: string }
  const { request } = (await queue.next()) as {
    request: { approval_id: string; shown_digest: string; created_at: string }
  }
  t.match(request, { approval_id: id, state: 'APPROVAL_STATE_PENDING', waiting_for: ['support-manager'] })
  t.match(request.created_at, /^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/)

  const waited = await watch(at, { path: '/v1/ApprovalService/WatchApproval', body: { approval_id: id }, key: agent })
  t.match(await waited.next(), { approval_id: id, state: 'APPROVAL_STATE_PENDING', changed: true })
  t.match((await ask(at, { path: '/v1/ApprovalService/GetApproval', body: { approval_id: id }, key: approver })).body, {
    shown_arguments_json: { order_id: 'A1', amount: 450 },
    may_vote: true,
  })
  const vote = { approval_id: id, approve: true, comment: 'fine' }
  const stale = await ask(at, {
    path: '/v1/ApprovalService/Review',
    body: { ...vote, shown_digest: 'x' },
    key: approver,
  })
  t.match(stale, { status: 409, body: { error: { code: 'ABORTED', reason: 'SHOWN_DIGEST_MISMATCH' } } })
  const review = {
    path: '/v1/ApprovalService/Review',
    body: { ...vote, shown_digest: request.shown_digest },
    key: approver,
  }
  t.match(await ask(at, review), {
    status: 200,
    body: {
      summary: { state: 'APPROVAL_STATE_APPROVED' },
      votes: [{ person: 'bob@example.com', approve: true, counts: true }],
    },
  })
  const late = await ask(at, review)
  t.match(late, {
    status: 400,
    body: { error: { code: 'FAILED_PRECONDITION', reason: 'ALREADY_DECIDED', details: { state: 'APPROVED' } } },
  })
  t.match(await waited.next(), { state: 'APPROVAL_STATE_APPROVED', final: false })

  const use = { path: DECIDE, body: refund(450, { approval_id: id }), key: agent }
  t.match(await ask(at, use), { body: { outcome: 'ALLOW', reason_code: 'APPROVED' } })
  t.match(await waited.next(), { state: 'APPROVAL_STATE_CONSUMED', final: true })
  t.equal(await waited.next(), null, 'the stream ends with the final state')
  t.match(await ask(at, use), { body: { outcome: 'DENY', reason_code: 'APPROVAL_REVOKED' } }, 'one approval, one use')
  const nothing = await ask(at, { path: '/v1/ApprovalService/WatchApproval', body: { approval_id: 'x' }, key: agent })
  t.match(
    nothing,
    { status: 400, body: { error: { reason: 'FIELD_INVALID' } } },
    'a stream that never began has a status',
  )
  const list = await ask(at, {
    path: '/v1/ApprovalService/ListApprovals',
    body: { filter: { states: ['PENDING'] } },
    key: approver,
  })
  t.match(list, {
    status: 400,
    body: { error: { message: /filter\.states\[0\] must be one of .*APPROVAL_STATE_PENDING/ } },
  })

  t.equal(app.underWay.streams, 1)
  queue.leave()
  await t.resolves(
    until(() => app.underWay.streams === 0),
    'a stream ends when its client goes',
  )

  const left = await watch(at, { path: '/v1/ApprovalService/WatchQueue', key: approver })
  t.same(await left.next(), { synced: true })
  const closing = app.close()
  t.match(await left.next(), { error: { code: 'UNAVAILABLE', reason: 'SERVER_DRAINING' } }, 'the last line says why')
  t.equal(await left.next(), null)
  t.equal(await closing, true, 'streams do not hold up a drain')
})

/** For what nothing announces. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

t.test('one listener that others reach is enough to ask everybody for a key', async (t) => {
  const { app, client } = await startServer(t, { argv: [...EMBEDDED, '--http', '0.0.0.0:0'] })
  const at = (app.httpAddress ?? '').replace('0.0.0.0', '127.0.0.1')
  const call = { agent: { id: 'support-1' }, tool: 'read_order', environment: 'prod', arguments: { order_id: 'A1' } }
  await t.rejects(client.decide(call), { reason: 'UNAUTHENTICATED' } as unknown as Error)
  t.match(await ask(at, { path: DECIDE, body: refund(50), headers: { host: 'portcullis.example' } }), { status: 401 })
})

t.test('docs/api.md lists the reasons', (t) => {
  const page = readFileSync('docs/api.md', 'utf8')
  for (const [reason, { httpStatus }] of Object.entries(HTTP_REASONS))
    t.match(page, `| \`${reason}\` | ${httpStatus} |`)
  t.end()
})

// A ClickHouse server as far as the official client can tell: ClickHouse's HTTP interface in front of the embedded engine,
// in a process of its own that a test can kill. Arguments: folder of the engine, port (0 picks one). Prints the port.
// Knows what the audit uses: GET /ping; POST / with `query` in the URL or in the body, parameters `param_NAME`, basic auth.
import { mkdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Session } from 'chdb'

const PASSWORD = 'open:sesame'
const [folder = '', port = '0'] = process.argv.slice(2)
mkdirSync(folder, { recursive: true })
const session = new Session(folder, { connectionArgs: ['--max_threads=1', '--session_timezone=UTC'] })
/** One statement at a time, since parameters are set in the one session. */
let queue: Promise<void> = Promise.resolve()

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://front')
  if (url.pathname === '/ping') {
    response.end('Ok.\n')
    return
  }
  if (!isAllowed(request)) {
    response.writeHead(403, { 'x-clickhouse-exception-code': '516' })
    response.end(
      'Code: 516. DB::Exception: default: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)',
    )
    return
  }
  const body = await bodyOf(request)
  const inUrl = url.searchParams.get('query')
  const sql = inUrl === null ? body : `${inUrl}\n${body}`
  try {
    for (const [name, value] of url.searchParams) {
      if (!name.startsWith('param_')) continue
      await session.queryAsync(`SET ${name} = '${value.replace(/[\\']/g, '\\$&')}'`)
    }
    response.end((await session.queryAsync(sql, { format: 'JSONEachRow' })).text())
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    response.writeHead(500, { 'x-clickhouse-exception-code': /Code: (\d+)/.exec(message)?.[1] ?? '1002' })
    response.end(message)
  }
}

function isAllowed(request: IncomingMessage): boolean {
  const basic = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString('utf8')
  return basic === `default:${PASSWORD}` || request.headers['x-clickhouse-key'] === PASSWORD
}

const server = createServer((request, response) => {
  queue = queue
    .then(() => answer(request, response))
    .catch((error: unknown) => {
      response.destroy(error as Error)
    })
})
server.listen(Number(port), '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit(0))

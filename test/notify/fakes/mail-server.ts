import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  readonly isEncrypted: boolean
  readonly user: string
  /** Names in lower case, folded lines joined, encoded words decoded. */
  readonly headers: ReadonlyMap<string, string>
  /** Decoded. */
  readonly text: string
}

/** A mail server that keeps what it takes, and refuses as it is told. */
export class MailServer {
  readonly mails: Mail[] = []
  /** Answer to a recipient: null takes it. */
  refuse: (address: string) => { readonly code: number; readonly text: string } | null = () => null
  readonly #server: SMTPServer

  private constructor(options: SMTPServerOptions) {
    this.#server = new SMTPServer({
      ...options,
      logger: false,
      closeTimeout: 50,
      onAuth: ({ username = '', password }, _session, done) =>
        password === 'correct horse' ? done(null, { user: username }) : done(new Error('no')),
      onRcptTo: ({ address }, _session, done) => {
        const refused = this.refuse(address)
        done(refused ? Object.assign(new Error(refused.text), { responseCode: refused.code }) : null)
      },
      onData: (stream, { envelope, secure, user }, done) => {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          const { headers, text } = read(Buffer.concat(chunks).toString('latin1'))
          this.mails.push({
            from: envelope.mailFrom ? envelope.mailFrom.address : '',
            to: envelope.rcptTo.map(({ address }) => address),
            isEncrypted: secure,
            user: String(user ?? ''),
            headers,
            text,
          })
          done()
        })
      },
    })
    // A client that hangs up in the middle is what some tests are about.
    this.#server.on('error', () => undefined)
  }

  static async start(
    test: { teardown(close: () => Promise<void>): void },
    options: SMTPServerOptions,
  ): Promise<MailServer> {
    const server = new MailServer(options)
    await new Promise<void>((listening) => server.#server.listen(0, 'localhost', listening))
    test.teardown(() => server.stop())
    return server
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port
  }

  stop(): Promise<void> {
    return new Promise((closed) => this.#server.close(() => closed()))
  }
}

function read(raw: string): Pick<Mail, 'headers' | 'text'> {
  const end = raw.indexOf('\r\n\r\n')
  const lines = raw
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), words(line.replace(/^[^:]*: */, ''))]),
  )
  const body = raw.slice(end + 4)
  const encoding = headers.get('content-transfer-encoding')
  const bytes =
    encoding === 'base64'
      ? Buffer.from(body, 'base64')
      : encoding === 'quoted-printable'
        ? quotedPrintable(body.replace(/=\r\n/g, ''))
        : Buffer.from(body, 'latin1')
  return { headers, text: bytes.toString('utf8').replaceAll('\r\n', '\n') }
}

/** RFC 2047. */
function words(value: string): string {
  return value
    .replace(/\?= =\?/g, '?==?')
    .replace(/=\?UTF-8\?([QB])\?([^?]*)\?=/gi, (_, kind: string, text: string) =>
      (kind.toUpperCase() === 'B'
        ? Buffer.from(text, 'base64')
        : quotedPrintable(text.replaceAll('_', ' '))
      ).toString(),
    )
}

function quotedPrintable(text: string): Buffer {
  const bytes = text.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1')
}

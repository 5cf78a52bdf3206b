import { createTransport, type SentMessageInfo, type Transporter } from 'nodemailer'
import { type Channel, type Notice, SendFailed, type Sent } from './channel.js'
import { visible } from './visible.js'

export interface EmailOptions {
  readonly smtp: {
    readonly host: string
    readonly port: number
    /** `starttls` sends nothing before the connection is encrypted, `tls` encrypts from the first byte, `none` never does. */
    readonly tls: 'starttls' | 'tls' | 'none'
    readonly login: { readonly user: string; readonly password: string } | null
    /** PEM, in place of the system's authorities. */
    readonly ca: string | null
  }
  /** A bare address: its domain stands in the ids of messages as well. */
  readonly from: string
  /** Told of everything. */
  readonly to: readonly string[]
  /** Told when votes of a role are missing, and of what becomes of that request afterwards. */
  readonly roles: Readonly<Record<string, readonly string[]>>
  /** Of one conversation with the server, in milliseconds. @default 25,000 */
  readonly timeoutMs?: number
}

/** Of one answer of the server. */
const ANSWER_MS = 10_000

/** Plain text by SMTP. Nothing in it decides anything: mail scanners open links, and who sent an answer is anybody's guess. */
export class EmailChannel implements Channel {
  readonly host: string
  readonly wantsOvertaken = false
  readonly #options: EmailOptions
  readonly #known: ReadonlySet<string>
  readonly #transport: Transporter<SentMessageInfo>

  constructor(options: EmailOptions) {
    const { host, port, tls, login, ca } = options.smtp
    this.host = `${host}:${port}`
    this.#options = options
    this.#known = new Set([...options.to, ...Object.values(options.roles).flat()])
    this.#transport = createTransport({
      host,
      port,
      secure: tls === 'tls',
      requireTLS: tls === 'starttls',
      ignoreTLS: tls === 'none',
      ...(login && { auth: { user: login.user, pass: login.password } }),
      tls: { minVersion: 'TLSv1.2', ...(ca !== null && { ca }) },
      connectionTimeout: ANSWER_MS,
      greetingTimeout: ANSWER_MS,
      socketTimeout: ANSWER_MS,
      dnsTimeout: ANSWER_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    })
  }

  send(notice: Notice): Promise<Sent> {
    return this.#sendTo(notice, this.#asked(notice))
  }

  /** A further message in the same thread, to those who were told before, too. @param remote their addresses */
  update(notice: Notice, remote: string): Promise<Sent> {
    // What is no address of the configuration any more gets nothing more.
    const before = remote.split(' ').filter((address) => this.#known.has(address))
    return this.#sendTo(notice, new Set([...before, ...this.#asked(notice)]))
  }

  #asked({ approval }: Notice): ReadonlySet<string> {
    const { to, roles } = this.#options
    const asked = (approval?.roles ?? []).flatMap((role) => (Object.hasOwn(roles, role) ? (roles[role] ?? []) : []))
    return new Set([...to, ...asked])
  }

  async #sendTo(notice: Notice, people: ReadonlySet<string>): Promise<Sent> {
    if (people.size === 0) return { remote: '' }
    const { from, timeoutMs = 25_000 } = this.#options
    const domain = from.slice(from.lastIndexOf('@') + 1)
    const root = `<thread.${notice.thread.replace(/[^A-Za-z0-9-]/g, '_')}@${domain}>`
    const isRoot = notice.kind === 'approval.opened' || notice.kind === 'kill.engaged'
    const hasThread = notice.thread !== '' && !isRoot
    const sending = this.#transport.sendMail({
      from,
      to: [...people],
      subject: notice.title,
      text: emailText(notice),
      // The same at each try, so that mail servers and programs can drop what they have.
      messageId: isRoot && notice.thread !== '' ? root : `<${notice.id}@${domain}>`,
      ...(hasThread && { inReplyTo: root, references: root }),
      date: new Date(notice.atMs),
      headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    })
    await within(sending, timeoutMs, this.host).catch((error: unknown) => {
      throw error instanceof SendFailed ? error : failureOf(error, this.host)
    })
    return { remote: [...people].join(' ') }
  }
}

/** `Name  value` lines, then where to decide. */
export function emailText(notice: Notice): string {
  const { title, approval, killSwitch, tenant, severity, link, isAsking, kind } = notice
  const fields: (readonly [string, string])[] = [['Tenant', tenant]]
  if (approval) {
    fields.push(
      ['Tool', approval.tool],
      ['Agent', approval.agent],
      ['On behalf of', approval.principal],
      ['Environment', approval.environment],
      ['Severity', severity],
      ['Why', approval.reason],
      ['Rules', approval.ruleIds.join(', ')],
      ['Waiting for', approval.roles.join(', ')],
      ['Until', isAsking && approval.expiresMs > 0 ? new Date(approval.expiresMs).toISOString() : ''],
      ['State', approval.state],
      ['Ended by', approval.endedBy],
      ['Because', approval.endedWhy],
      ['Approval', approval.id],
    )
  }
  if (killSwitch) {
    fields.push(
      ['Scope', killSwitch.scope],
      ['Target', killSwitch.target],
      ['By', killSwitch.by],
      ['Why', killSwitch.reason],
      ['Kill switch', killSwitch.id],
    )
  }
  fields.push(['Event', kind], ['At', new Date(notice.atMs).toISOString()])
  const lines = fields
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name.padEnd(13)} ${unlinked(value)}`)
  const where = link === '' ? [] : ['', `${isAsking ? 'Decide here, after signing in' : 'Look here'}: ${link}`]
  const foot = ['', 'Sent by Portcullis. Answering this message decides nothing.', '']
  return [unlinked(title), '', ...lines, ...where, ...foot].join('\n')
}

/** Mail programs make links of what looks like one, and this text is an agent's. */
function unlinked(text: string): string {
  return text.replace(/:\/\//g, '[:]//').replace(/\b(www|mailto|tel|javascript)([.:])/gi, '$1[$2]')
}

async function within<T>(work: Promise<T>, ms: number, host: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const tooLate = new SendFailed(`${host} did not take the message within ${ms} ms`, {
      isRetryable: true,
      isHostIll: true,
    })
    timer = setTimeout(() => reject(tooLate), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * 4xx may go better later, 5xx will not; but who cannot log in or has no TLS mends the server or the settings, and the message
 * is as good as before.
 */
function failureOf(error: unknown, host: string): SendFailed {
  const { code, responseCode, response } = fieldsOf(error)
  const isMessage = responseCode >= 500 && code !== 'EAUTH' && code !== 'ETLS'
  const said = response === '' ? '' : `: ${visible(response, 200)}`
  const what = responseCode > 0 ? `refused${said}` : `cannot be used (${code})`
  return new SendFailed(`${host} ${what}`, {
    isRetryable: !isMessage,
    isHostIll: responseCode === 0 || responseCode === 421 || code === 'EAUTH' || code === 'ETLS',
  })
}

function fieldsOf(error: unknown): { readonly code: string; readonly responseCode: number; readonly response: string } {
  const found: Readonly<Record<string, unknown>> = typeof error === 'object' && error !== null ? { ...error } : {}
  const { code, responseCode, response } = found
  return {
    code: typeof code === 'string' ? code : 'unknown',
    responseCode: typeof responseCode === 'number' ? responseCode : 0,
    response: typeof response === 'string' ? response : '',
  }
}

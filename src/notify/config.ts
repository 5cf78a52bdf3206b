import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { compileGlob } from '../model/glob.js'
import type { JsonObject, JsonValue } from '../model/json.js'
import { jsonPath, quoteForMessage } from '../model/json-error.js'
import { parseJsonObject } from '../model/parse-json.js'
import { type Network, readNetwork } from './addresses.js'
import type { EmailOptions } from './email.js'
import { NOTICE_KINDS } from './notice.js'
import { readWebhookSecret } from './standard-webhooks.js'

/** Which channels there are; frozen in effect, and full of secrets, so never printed. */
export interface NotifyConfig {
  /** Where people look, with `{id}` in place of the approval or kill switch; empty for none. */
  readonly link: string
  readonly channels: readonly ChannelConfig[]
}

export type ChannelConfig = {
  readonly name: string
  /** Globs over kinds, each of which matches some. */
  readonly kinds: readonly string[]
  /** Null: of all tenants. */
  readonly tenants: readonly string[] | null
} & (
  | { readonly type: 'log' }
  | {
      readonly type: 'webhook'
      readonly url: URL
      readonly keys: readonly Buffer[]
      readonly allowed: readonly Network[]
      readonly ca: string | null
    }
  | ({ readonly type: 'email' } & EmailOptions)
)

/** Without a file everything that happens is told to the log. */
export const DEFAULT_NOTIFY: NotifyConfig = {
  link: '',
  channels: [{ type: 'log', name: 'log', kinds: ['*'], tenants: null }],
}

/** The file is wrong; `message` holds one line a problem and no secret. */
export class NotifyConfigError extends Error {
  override readonly name = 'NotifyConfigError'
}

type Env = Readonly<Record<string, string | undefined>>

/**
 * Reads the file of `--notify`; docs/notifications.md describes it. Secrets are read now, from files beside it or from the
 * environment: a change of theirs needs a restart.
 *
 * @throws {NotifyConfigError} that names every problem by its place
 */
export function readNotifyFile(file: string, env: Env): NotifyConfig {
  let root: JsonObject
  try {
    root = parseJsonObject(readFileSync(file))
  } catch (error) {
    throw new NotifyConfigError(`${file}: ${(error as Error).message}`)
  }
  const reader = new Reader(dirname(file), env)
  const config = reader.config(root)
  if (reader.problems.length > 0) {
    throw new NotifyConfigError(reader.problems.map((problem) => `${file}: ${problem}`).join('\n'))
  }
  return config
}

const COMMON = ['type', 'name', 'kinds', 'tenants']
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  log: COMMON,
  webhook: [...COMMON, 'url', 'secrets', 'allow', 'ca'],
  email: [...COMMON, 'smtp', 'from', 'to', 'roles'],
}
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const ADDRESS = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/
const MOST_CHANNELS = 50

type Path = readonly (string | number)[]

/** Goes on after a problem, with a value that is not used: whoever wrote the file sees all of them at once. */
class Reader {
  readonly problems: string[] = []

  constructor(
    readonly folder: string,
    readonly env: Env,
  ) {}

  config(root: JsonObject): NotifyConfig {
    this.#members(root, [], ['link', 'channels'])
    const link = root['link'] === undefined ? '' : this.#link(root['link'], ['link'])
    const channels = this.#list(root['channels'], ['channels'], (item, path) => this.#channel(item, path))
    if (channels.length > MOST_CHANNELS) this.#wrong(['channels'], `holds more than ${MOST_CHANNELS} channels`)
    for (const [index, { name }] of channels.entries()) {
      const isTaken = channels.findIndex((other) => other.name === name) < index
      if (isTaken && name !== '') this.#wrong(['channels', index, 'name'], `${quoteForMessage(name)} is taken already`)
    }
    return { link, channels }
  }

  #channel(value: JsonValue, path: Path): ChannelConfig {
    const channel = this.#object(value, path)
    const type = this.#text(channel['type'], [...path, 'type'])
    const members = Object.hasOwn(MEMBERS, type) ? MEMBERS[type] : undefined
    if (members === undefined) {
      if (type !== '') this.#wrong([...path, 'type'], `${quoteForMessage(type)} is none of log, webhook, email`)
    } else this.#members(channel, path, members)
    const common = {
      name: this.#match(channel['name'], [...path, 'name'], NAME, 'a name of a-z, 0-9 and -, such as "ops"'),
      kinds: channel['kinds'] === undefined ? ['*'] : this.#kinds(channel['kinds'], [...path, 'kinds']),
      tenants: channel['tenants'] === undefined ? null : this.#texts(channel['tenants'], [...path, 'tenants']),
    }
    if (type === 'webhook') return { type, ...common, ...this.#webhook(channel, path) }
    if (type === 'email') return { type, ...common, ...this.#email(channel, path) }
    return { type: 'log', ...common }
  }

  #webhook(
    channel: JsonObject,
    path: Path,
  ): Pick<ChannelConfig & { type: 'webhook' }, 'url' | 'keys' | 'allowed' | 'ca'> {
    const keys = this.#list(channel['secrets'], [...path, 'secrets'], (item, at) =>
      this.#read(at, Buffer.alloc(0), () => readWebhookSecret(this.#secret(item, at) ?? '')),
    )
    if (keys.length > 2)
      this.#wrong([...path, 'secrets'], 'holds more than two: the one in use, and the next or last one')
    const allowed = this.#some(channel['allow'], [...path, 'allow'], (item, at) => {
      const text = this.#text(item, at)
      return this.#read(at, null, () => readNetwork(text))
    }).filter((network) => network !== null)
    const url = this.#url(channel['url'], [...path, 'url'])
    if (url.protocol === 'http:' && allowed.length === 0) {
      this.#wrong([...path, 'url'], 'must be an https:// URL: http:// is only for addresses that `allow` names')
    }
    return { url, keys, allowed, ca: this.#ca(channel['ca'], [...path, 'ca']) }
  }

  #email(channel: JsonObject, path: Path): EmailOptions {
    const at = [...path, 'smtp']
    const smtp = this.#object(channel['smtp'], at)
    this.#members(smtp, at, ['host', 'port', 'tls', 'user', 'password', 'ca'])
    const tls = ['starttls', 'tls', 'none'].find((known) => known === (smtp['tls'] ?? 'starttls'))
    if (tls === undefined) this.#wrong([...at, 'tls'], 'is none of starttls, tls, none')
    const { user, password } = smtp
    if ((user === undefined) !== (password === undefined))
      this.#wrong(at, 'has one of user and password: give both or none')
    if (password !== undefined && tls === 'none')
      this.#wrong([...at, 'tls'], 'none would send the password in the clear')
    const login =
      user === undefined || password === undefined
        ? null
        : { user: this.#text(user, [...at, 'user']), password: this.#secret(password, [...at, 'password']) ?? '' }
    const roles = Object.entries(this.#object(channel['roles'] ?? {}, [...path, 'roles'])).map(
      ([role, people]) => [role, this.#addresses(people, [...path, 'roles', role])] as const,
    )
    const to = channel['to'] === undefined ? [] : this.#addresses(channel['to'], [...path, 'to'])
    if (to.length === 0 && roles.length === 0) this.#wrong(path, 'tells nobody: give `to`, `roles` or both')
    return {
      smtp: {
        host: this.#match(smtp['host'], [...at, 'host'], /^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/, 'a name or an address'),
        port: this.#port(smtp['port'], [...at, 'port'], tls === 'tls' ? 465 : 587),
        tls: (tls ?? 'starttls') as EmailOptions['smtp']['tls'],
        login,
        ca: this.#ca(smtp['ca'], [...at, 'ca']),
      },
      from: this.#match(channel['from'], [...path, 'from'], ADDRESS, 'an address such as "portcullis@example.com"'),
      to,
      roles: Object.fromEntries(roles),
    }
  }

  #kinds(value: JsonValue, path: Path): readonly string[] {
    return this.#list(value, path, (item, at) => {
      const glob = this.#match(item, at, /^[a-z*.-]{1,64}$/, 'a kind such as "approval.opened" or "approval.*"')
      if (glob !== '' && !NOTICE_KINDS.some(compileGlob(glob))) {
        this.#wrong(at, `${quoteForMessage(glob)} matches no kind: there are ${NOTICE_KINDS.join(', ')}`)
      }
      return glob
    })
  }

  #addresses(value: JsonValue, path: Path): readonly string[] {
    return this.#list(value, path, (item, at) => this.#match(item, at, ADDRESS, 'an address such as "ann@example.com"'))
  }

  #texts(value: JsonValue, path: Path): readonly string[] {
    return this.#list(value, path, (item, at) => this.#text(item, at))
  }

  #link(value: JsonValue, path: Path): string {
    const text = this.#text(value, path)
    const url = URL.canParse(text) ? new URL(text) : null
    if (text !== '' && url?.protocol !== 'https:' && url?.protocol !== 'http:') {
      this.#wrong(path, 'must be an https:// URL, with {id} where the approval stands')
    } else if (text.length > 500 || /[^!-~]/.test(text))
      this.#wrong(path, 'must be at most 500 characters, all of them ASCII')
    return text
  }

  /** May hold a secret, so that nothing of it is repeated. */
  #url(value: JsonValue | undefined, path: Path): URL {
    const text = typeof value === 'string' ? value : this.#secret(value, path)
    if (text !== null) {
      const url = URL.canParse(text) ? new URL(text) : null
      if (url === null || !/^https?:$/.test(url.protocol)) this.#wrong(path, 'must be an https:// URL')
      else if (url.username !== '' || url.password !== '') this.#wrong(path, 'must hold no user and no password')
      else return url
    }
    return new URL('https://invalid.invalid/')
  }

  /** Secrets stand in files or in the environment; in the file itself they would be copied with it. */
  #secret(value: JsonValue | undefined, path: Path): string | null {
    const how = 'must be {"file": "path"} or {"env": "NAME"}'
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.#wrong(path, how)
    const { file, env, ...rest } = value as JsonObject
    if (Object.keys(rest).length > 0 || (file === undefined) === (env === undefined)) return this.#wrong(path, how)
    if (file !== undefined) return this.#file(file, [...path, 'file'])
    const name = this.#match(env, [...path, 'env'], /^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of a variable')
    if (name === '') return null
    if (name.startsWith('PORTCULLIS_'))
      return this.#wrong([...path, 'env'], 'must not begin with PORTCULLIS_: those are settings')
    return this.env[name] || this.#wrong([...path, 'env'], `the variable ${name} is not set`)
  }

  #ca(value: JsonValue | undefined, path: Path): string | null {
    return value === undefined ? null : this.#file(value, path)
  }

  #file(value: JsonValue, path: Path): string | null {
    const name = this.#text(value, path)
    if (name === '') return null
    try {
      const text = readFileSync(resolve(this.folder, name), 'utf8').trim()
      return text === '' ? this.#wrong(path, `the file ${quoteForMessage(name)} is empty`) : text
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return this.#wrong(path, `the file ${quoteForMessage(name)} cannot be read: ${code}`)
    }
  }

  #port(value: JsonValue | undefined, path: Path, fallback: number): number {
    if (value === undefined) return fallback
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535) return value
    this.#wrong(path, 'must be a whole number from 1 to 65535')
    return fallback
  }

  #members(object: JsonObject, path: Path, known: readonly string[]): void {
    for (const key of Object.keys(object)) {
      if (!known.includes(key)) this.#wrong([...path, key], `is not known here; there are ${known.join(', ')}`)
    }
  }

  #object(value: JsonValue | undefined, path: Path): JsonObject {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
    this.#wrong(path, value === undefined ? 'is missing' : 'must be an object')
    return {}
  }

  /** At least one item. */
  #list<T>(value: JsonValue | undefined, path: Path, read: (item: JsonValue, path: Path) => T): readonly T[] {
    if (Array.isArray(value) && value.length > 0) return this.#some(value, path, read)
    this.#wrong(path, value === undefined ? 'is missing' : 'must be a list that is not empty')
    return []
  }

  #some<T>(value: JsonValue | undefined, path: Path, read: (item: JsonValue, path: Path) => T): readonly T[] {
    if (value === undefined) return []
    if (Array.isArray(value)) return value.map((item: JsonValue, index) => read(item, [...path, index]))
    this.#wrong(path, 'must be a list')
    return []
  }

  #text(value: JsonValue | undefined, path: Path): string {
    if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
    this.#wrong(path, value === undefined ? 'is missing' : 'must be a text that is not empty')
    return ''
  }

  #match(value: JsonValue | undefined, path: Path, pattern: RegExp, what: string): string {
    const text = this.#text(value, path)
    if (text === '' || pattern.test(text)) return text
    this.#wrong(path, `must be ${what}`)
    return ''
  }

  #read<T>(path: Path, fallback: T, read: () => T): T {
    const before = this.problems.length
    try {
      return read()
    } catch (error) {
      // One problem a place: what was missing is not wrong as well.
      if (this.problems.length === before) this.#wrong(path, (error as Error).message)
      return fallback
    }
  }

  #wrong(path: Path, what: string): null {
    this.problems.push(`${jsonPath(path)}: ${what}`)
    return null
  }
}

import type { JsonValue } from '../../model/json.js'

/**
 * What a view shows of a text: a record of the fields in `VIEWS`, or for `json` the parsed value. A field that is
 * `undefined` is unknown: the text parses, but what the field asks cannot be told from it (the tables of a dynamic
 * statement, the limit of a query without one).
 */
export type ViewValue = JsonValue | ViewRecord
export type ViewRecord = Readonly<Record<string, JsonValue | undefined>>

export interface SqlView extends ViewRecord {
  readonly statements: readonly string[] | undefined
  readonly tables: readonly string[] | undefined
  readonly columns: readonly string[] | undefined
  readonly functions: readonly string[] | undefined
  readonly has_limit: boolean | undefined
  readonly limit: number | bigint | undefined
  readonly has_where: boolean | undefined
  readonly multiple: boolean
}

export interface UrlView extends ViewRecord {
  readonly scheme: string
  readonly host: string
  readonly domain: string
  readonly port: number | undefined
  readonly path: string | undefined
  readonly query: Readonly<Record<string, string | readonly string[]>> | undefined
  readonly fragment: string | undefined
  readonly has_credentials: boolean
  readonly is_ip: boolean
}

export interface EmailView extends ViewRecord {
  readonly address: string
  readonly local: string
  readonly domain: string
  readonly registrable: string
}

export interface PathView extends ViewRecord {
  readonly text: string
  readonly name: string
  readonly extension: string
  readonly parent: string
  readonly segments: readonly string[]
  readonly absolute: boolean
  readonly escapes: boolean
  /** No field of the language: every normalised path that programs could read in the text, for `under`. */
  readonly readings: readonly string[]
}

export interface IpView extends ViewRecord {
  readonly text: string
  readonly version: 4 | 6
  readonly private: boolean
  readonly loopback: boolean | undefined
  readonly link_local: boolean
  readonly multicast: boolean
  readonly global: boolean
}

export interface ShellView extends ViewRecord {
  readonly programs: readonly string[] | undefined
  readonly words: readonly string[] | undefined
  readonly multiple: boolean | undefined
  readonly pipes: boolean | undefined
  readonly redirects: boolean | undefined
  readonly writes: readonly string[] | undefined
  readonly reads: readonly string[] | undefined
  readonly substitutions: boolean | undefined
  readonly variables: boolean
  readonly background: boolean | undefined
}

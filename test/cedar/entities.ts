import type { JsonObject, JsonValue } from '../../src/model/json.js'
import { Inexpressible } from './inexpressible.js'

/** An entity as Cedar's JSON names it. */
export interface EntityUid {
  readonly type: string
  readonly id: string
}
export interface CedarEntity {
  readonly uid: EntityUid | { readonly __entity: EntityUid }
  readonly attrs: JsonObject
  readonly parents: readonly (EntityUid | { readonly __entity: EntityUid })[]
  readonly tags?: JsonObject
}

/** The one field of an entity among values: `{ "__entity__": "User::\"ann\"" }`. */
export const ENTITY = '__entity__'
const EXTENSION = '__extn__'

export function nameOf(uid: EntityUid | { readonly __entity: EntityUid }): string {
  const { type, id } = '__entity' in uid ? uid.__entity : uid
  return `${type}::${JSON.stringify(id)}`
}

/** Every entity by its name, with all of its ancestors, so that conditions look up what Cedar looks up in its store. */
export class EntityStore {
  /** Whether some value is a decimal, an address, a date or a duration. */
  hasExtensions = false
  readonly #entities = new Map<string, CedarEntity>()

  constructor(
    entities: readonly CedarEntity[],
    /** Types of entities, by which references without the mark `__entity` are told from records. */
    private readonly types: ReadonlySet<string>,
  ) {
    for (const entity of entities) this.#entities.set(nameOf(entity.uid), entity)
  }

  /** @param named entities that are spoken of; those that are not stored have no attributes, tags and ancestors */
  toJson(named: Iterable<string>): JsonObject {
    const names = new Set([...this.#entities.keys(), ...named])
    for (const name of this.#entities.keys()) for (const ancestor of this.#ancestors(name)) names.add(ancestor)
    const entries = [...names].map((name): [string, JsonValue] => {
      const entity = this.#entities.get(name)
      const [attrs, tags] = [this.#record(entity?.attrs ?? {}), this.#record(entity?.tags ?? {})]
      return [name, { attrs, tags, ancestors: this.#ancestors(name) }]
    })
    // References of attributes are names, too.
    const mentioned = new Set<string>()
    collectNames(
      entries.map(([, value]) => value),
      mentioned,
    )
    for (const name of mentioned) if (!names.has(name)) entries.push([name, { attrs: {}, tags: {}, ancestors: [] }])
    return Object.fromEntries(entries)
  }

  #ancestors(name: string): string[] {
    const found = new Set<string>()
    const open = [name]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const parent of this.#entities.get(next)?.parents ?? []) {
        const of = nameOf(parent)
        if (found.has(of)) continue
        found.add(of)
        open.push(of)
      }
    }
    return [...found].sort()
  }

  #record(record: JsonObject): JsonObject {
    return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, this.value(value)]))
  }

  /** Sets are sorted and hold nothing twice, so that equal sets are equal lists. */
  value(value: JsonValue): JsonValue {
    if (Array.isArray(value)) return setOf(value.map((item: JsonValue) => this.value(item)))
    if (typeof value !== 'object' || value === null) return value
    const record = value as JsonObject
    const entity = record['__entity'] as unknown as EntityUid | undefined
    if (entity !== undefined) return { [ENTITY]: nameOf(entity) }
    if (record['__extn'] !== undefined) {
      this.hasExtensions = true
      return { [EXTENSION]: JSON.stringify(record['__extn']) }
    }
    const keys = Object.keys(record)
    const isImplicit = keys.length === 2 && typeof record['type'] === 'string' && typeof record['id'] === 'string'
    if (isImplicit && this.types.has(record['type'] as string)) {
      return { [ENTITY]: nameOf(record as unknown as EntityUid) }
    }
    if (keys.includes(ENTITY)) throw new Inexpressible(`a record with the attribute ${ENTITY}`)
    return this.#record(record)
  }
}

function collectNames(value: JsonValue, into: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectNames(item, into)
  else if (typeof value === 'object' && value !== null) {
    const record = value as JsonObject
    if (typeof record[ENTITY] === 'string') into.add(record[ENTITY])
    else for (const item of Object.values(record)) collectNames(item, into)
  }
}

export function setOf(items: readonly JsonValue[]): JsonValue[] {
  const byText = new Map(items.map((item) => [sortKey(item), item]))
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item)
}

function sortKey(value: JsonValue): string {
  if (typeof value === 'bigint') return `n${value}`
  if (typeof value === 'number') return `n${value}`
  if (Array.isArray(value)) return `[${value.map(sortKey).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${sortKey(item)}`).join()}}`
}

import type { CheckedTool } from './checked.js'
import { ANY, BOOLEAN, NUMBER, STRING, type Type } from './vocabulary.js'

type Parameters = CheckedTool['parameters']

export interface ImportedTool {
  readonly name: string
  readonly parameters: Parameters
}

/** What a tool list holds, or one sentence on why it cannot be read. */
export type ToolList = { readonly tools: readonly ImportedTool[] } | { readonly problem: string }

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type JsonMap = { readonly [key: string]: Json }

/**
 * Reads an MCP `tools/list` answer: `{ "tools": [...] }`, the bare array, or a map of such arrays by suite. The schema of a
 * tool stands under `inputSchema` (MCP) or `parameters` (function calling).
 */
export function readToolList(text: string): ToolList {
  let json: Json
  try {
    json = JSON.parse(text) as Json
  } catch (error) {
    return { problem: `it is not JSON (${error instanceof Error ? error.message : String(error)})` }
  }
  const entries = toolEntries(json)
  if (entries === null) return { problem: 'it holds neither a `tools` array nor an array of tools' }
  const tools: ImportedTool[] = []
  for (const [at, entry] of entries.entries()) {
    if (!isMap(entry) || typeof entry['name'] !== 'string' || entry['name'] === '') {
      return { problem: `its entry ${at + 1} has no \`name\`` }
    }
    const schema = entry['inputSchema'] ?? entry['parameters'] ?? {}
    const root = isMap(schema) ? schema : {}
    tools.push({ name: entry['name'], parameters: new SchemaReader(root).parameters(root) })
  }
  return { tools }
}

function toolEntries(json: Json): readonly Json[] | null {
  if (Array.isArray(json)) return json
  if (!isMap(json)) return null
  if (Array.isArray(json['tools'])) return json['tools'] as readonly Json[]
  const suites = Object.values(json)
  return suites.length > 0 && suites.every((suite) => Array.isArray(suite)) ? (suites as Json[][]).flat() : null
}

const isMap = (json: Json | undefined): json is JsonMap =>
  typeof json === 'object' && json !== null && !Array.isArray(json)

/** Deeper parts of a schema are `any`; recursion through `$ref` ends there, too. */
const MAX_DEPTH = 8

/** JSON Schema to the narrowest type of ours that takes every value the schema takes. */
class SchemaReader {
  constructor(readonly root: JsonMap) {}

  parameters(schema: JsonMap): Parameters {
    return this.#fields(schema, 0) ?? new Map()
  }

  #fields(schema: JsonMap, depth: number): Parameters | null {
    const properties = schema['properties']
    if (!isMap(properties)) return null
    const required = new Set(Array.isArray(schema['required']) ? (schema['required'] as readonly Json[]) : [])
    const fields = new Map<string, { readonly type: Type; readonly optional: boolean }>()
    for (const [name, property] of Object.entries(properties)) {
      fields.set(name, { type: this.#type(property, depth + 1), optional: !required.has(name) })
    }
    return fields
  }

  #type(schema: Json, depth: number): Type {
    if (!isMap(schema) || depth > MAX_DEPTH) return ANY
    if (typeof schema['$ref'] === 'string') return this.#type(this.#resolve(schema['$ref']), depth + 1)
    const choices = schema['anyOf'] ?? schema['oneOf']
    if (Array.isArray(choices)) return this.#union(choices as readonly Json[], depth)
    if (Array.isArray(schema['enum'])) return common((schema['enum'] as readonly Json[]).map(typeOfConstant))
    if ('const' in schema) return typeOfConstant(schema['const'] ?? null)
    const type = schema['type']
    if (Array.isArray(type)) {
      return this.#union(
        (type as readonly Json[]).map((one) => ({ ...schema, type: one })),
        depth,
      )
    }
    switch (type) {
      case 'string':
        return STRING
      case 'number':
      case 'integer':
        return NUMBER
      case 'boolean':
        return BOOLEAN
      case 'array':
        return { kind: 'list', item: this.#type(schema['items'] ?? null, depth + 1) }
      case 'object': {
        const closed = schema['additionalProperties'] === false || !('additionalProperties' in schema)
        return { kind: 'map', fields: closed ? this.#fields(schema, depth) : null }
      }
      default:
        return ANY
    }
  }

  /** A choice that may also be null has the type of the rest: a null argument is unknown in comparisons anyway. */
  #union(choices: readonly Json[], depth: number): Type {
    return common(
      choices
        .filter((choice) => !isMap(choice) || choice['type'] !== 'null')
        .map((choice) => this.#type(choice, depth + 1)),
    )
  }

  #resolve(ref: string): Json {
    if (!ref.startsWith('#/')) return null
    let at: Json = this.root
    for (const step of ref.slice(2).split('/')) {
      const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
      if (!isMap(at) || !Object.hasOwn(at, key)) return null
      at = at[key] ?? null
    }
    return at
  }
}

function typeOfConstant(value: Json): Type {
  switch (typeof value) {
    case 'string':
      return STRING
    case 'number':
      return NUMBER
    case 'boolean':
      return BOOLEAN
    default:
      return ANY
  }
}

/** The one type of all, or `any`. */
function common(types: readonly Type[]): Type {
  const [first] = types
  if (first === undefined) return ANY
  const simple = ['string', 'number', 'boolean'].includes(first.kind)
  return types.length === 1 || (simple && types.every(({ kind }) => kind === first.kind)) ? first : ANY
}

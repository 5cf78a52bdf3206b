import type { CheckedTool } from './checked.js'
import { ANY, type Type } from './vocabulary.js'

export type Fields = CheckedTool['parameters']

/** A type in the words of the language. */
export function typeName(type: Type): string {
  switch (type.kind) {
    case 'list':
      return type.item.kind === 'any' ? 'a list' : `a list of ${plural(type.item)}`
    case 'view':
      return `a parsed text with several parts`
    default:
      return WORDS[type.kind]
  }
}

const WORDS = {
  string: 'a text',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
  timestamp: 'a point in time',
  duration: 'a duration',
  cidr: 'an address range',
  map: 'a map',
  any: 'any value',
} as const

function plural(type: Type): string {
  switch (type.kind) {
    case 'string':
      return 'texts'
    case 'number':
      return 'numbers'
    case 'map':
      return 'maps'
    case 'list':
      return 'lists'
    case 'cidr':
      return 'address ranges'
    default:
      return 'values'
  }
}

/** True when a value of one type can be equal to one of the other; null compares with everything. */
export function comparable(a: Type, b: Type): boolean {
  if (a.kind === 'any' || b.kind === 'any') return true
  if (a.kind === 'view' || b.kind === 'view') return false
  if (a.kind === 'null' || b.kind === 'null') return true
  if (a.kind === 'list' && b.kind === 'list') return comparable(a.item, b.item)
  return a.kind === b.kind
}

function sameType(a: Type, b: Type): boolean {
  if (a.kind === 'list' && b.kind === 'list') return sameType(a.item, b.item)
  if (a.kind === 'map' && b.kind === 'map') {
    return a.fields === null || b.fields === null ? a.fields === b.fields : sameFields(a.fields, b.fields)
  }
  if (a.kind === 'view' && b.kind === 'view') return a.view === b.view
  return a.kind === b.kind
}

export function sameFields(a: Fields, b: Fields): boolean {
  return (
    a.size === b.size &&
    [...a].every(([name, { type, optional }]) => {
      const other = b.get(name)
      return other !== undefined && other.optional === optional && sameType(type, other.type)
    })
  )
}

/** The type of all, or `any` where they differ. */
export function commonType(types: readonly Type[]): Type {
  const [first] = types
  return first !== undefined && types.every((type) => sameType(first, type)) ? first : ANY
}

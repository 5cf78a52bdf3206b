import type { FunctionName, ViewName } from '../../language/vocabulary.js'
import { FUNCTIONS, VIEWS } from '../../language/vocabulary.js'
import { assertNever } from '../../model/assert-never.js'
import { recipientsOf } from '../functions/recipients.js'
import { stringsOf } from '../functions/strings.js'
import { domain, parseView, type ViewRecord } from '../views/index.js'
import { arithmetic } from './arithmetic.js'
import { isNumeric, order } from './compare.js'
import { isJson, isList, Parsed, type Value } from './value.js'

export function isView(name: string): name is ViewName {
  return Object.hasOwn(VIEWS, name)
}

export function isFunction(name: string): name is FunctionName {
  return Object.hasOwn(FUNCTIONS, name)
}

/** Parses a text by the rules of its field; unknown where it does not parse. */
export function applyView(name: ViewName, value: Value): Value {
  if (typeof value !== 'string') return undefined
  const view = parseView(name, value)
  if (view === undefined) return undefined
  // `json` shows the value itself; every other view is a record of the fields in `VIEWS`.
  return name === 'json' ? (view as Value) : new Parsed(name, view as ViewRecord)
}

/** All but `undeclared`, which needs the called tool beside its argument. */
export function applyFunction(name: Exclude<FunctionName, 'undeclared'>, value: Value): Value {
  switch (name) {
    case 'domain':
      return typeof value === 'string' ? domain(value) : undefined
    case 'count':
      return isList(value) ? value.length : undefined
    case 'sum':
      return isList(value) ? sum(value) : undefined
    case 'min':
      return isList(value) ? extreme(value, -1) : undefined
    case 'max':
      return isList(value) ? extreme(value, 1) : undefined
    case 'lower':
      return typeof value === 'string' ? value.toLowerCase() : undefined
    case 'length':
      return isList(value) ? value.length : typeof value === 'string' ? codePoints(value) : undefined
    case 'strings':
      return isJson(value) ? stringsOf(value) : undefined
    case 'recipients':
      return isJson(value) ? recipientsOf(value) : undefined
    default:
      return assertNever(name)
  }
}

function sum(items: readonly Value[]): Value {
  let total: Value = 0
  for (const item of items) {
    if (!isNumeric(item)) return undefined
    total = arithmetic('+', total, item)
  }
  return total
}

/** Unknown for an empty list and for anything that is no number. */
function extreme(items: readonly Value[], sign: 1 | -1): Value {
  let found: Value
  for (const item of items) {
    if (!isNumeric(item)) return undefined
    const step: number | undefined = found === undefined ? sign : order(item, found)
    if (step === undefined) return undefined
    if (step * sign > 0) found = item
  }
  return found
}

function codePoints(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++
    count++
  }
  return count
}

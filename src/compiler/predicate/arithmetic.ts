import type { ArithmeticOp } from '../../language/ast.js'
import { assertNever } from '../../model/assert-never.js'
import { isNumeric } from './compare.js'
import { Duration, Instant, type Value } from './value.js'

/** Results of more bits are unknown, so that no chain of products grows without bound. */
const MAX_BIGINT = 1n << 1024n

/**
 * `+ - * /` on numbers, durations and timestamps. Unknown: other types, division by zero, results that are not finite,
 * and a big integer with a fraction, since rounding it could turn a comparison round.
 */
export function arithmetic(op: ArithmeticOp, left: Value, right: Value): Value {
  if (typeof left === 'number' && typeof right === 'number') return finite(calculate(op, left, right))
  if (isNumeric(left) && isNumeric(right)) return calculateExactly(op, left, right)
  return calculateTime(op, left, right)
}

export function negate(value: Value): Value {
  if (typeof value === 'bigint') return normalise(-value)
  if (typeof value === 'number') return finite(-value)
  return value instanceof Duration ? new Duration(-value.ms) : undefined
}

function calculate(op: ArithmeticOp, left: number, right: number): number {
  switch (op) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return left / right
    default:
      return assertNever(op)
  }
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
}

function calculateExactly(op: ArithmeticOp, left: number | bigint, right: number | bigint): Value {
  const a = toBigInt(left)
  const b = toBigInt(right)
  if (a === undefined || b === undefined) return undefined
  switch (op) {
    case '+':
      return normalise(a + b)
    case '-':
      return normalise(a - b)
    case '*':
      return normalise(a * b)
    case '/':
      return b !== 0n && a % b === 0n ? normalise(a / b) : undefined
    default:
      return assertNever(op)
  }
}

function toBigInt(value: number | bigint): bigint | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined
  return value > MAX_BIGINT || value < -MAX_BIGINT ? undefined : value
}

function normalise(value: bigint): Value {
  return value > MAX_BIGINT || value < -MAX_BIGINT ? undefined : canonicalInteger(value)
}

/** A number where a double holds the integer exactly, so that equal integers are one key of a set. */
export function canonicalInteger(value: bigint): number | bigint {
  const double = Number(value)
  return Number.isFinite(double) && BigInt(double) === value ? double : value
}

function calculateTime(op: ArithmeticOp, left: Value, right: Value): Value {
  if (left instanceof Instant && right instanceof Instant) {
    return op === '-' ? new Duration(left.ms - right.ms) : undefined
  }
  if (left instanceof Instant && right instanceof Duration) return instant(op, left.ms, right.ms)
  if (left instanceof Duration && right instanceof Instant && op === '+') return new Instant(left.ms + right.ms)
  if (left instanceof Duration && right instanceof Duration) {
    if (op === '/') return finite(left.ms / right.ms)
    return op === '*' ? undefined : new Duration(calculate(op, left.ms, right.ms))
  }
  if (left instanceof Duration && typeof right === 'number' && (op === '*' || op === '/')) {
    return duration(calculate(op, left.ms, right))
  }
  if (typeof left === 'number' && right instanceof Duration && op === '*') return duration(left * right.ms)
  return undefined
}

function instant(op: ArithmeticOp, ms: number, by: number): Value {
  return op === '+' ? new Instant(ms + by) : op === '-' ? new Instant(ms - by) : undefined
}

function duration(ms: number): Value {
  return Number.isFinite(ms) ? new Duration(ms) : undefined
}

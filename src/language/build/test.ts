import type { Span } from '../../model/span.js'
import type { Expectation, Expr, GivenCall, Identifier } from '../ast.js'
import type { Token } from '../lexer.js'
import { type Chain, toArray } from './chain.js'
import { instantOf } from './expression.js'
import { type BuildFault, type Built, built, repeated } from './fault.js'
import { spanOf, text } from './words.js'

/** One `key value` of a `given`; a later one of the same key is a fault. */
export interface GivenPart {
  readonly kind: 'tool' | 'env' | 'session' | 'tenant' | 'agent' | 'principal' | 'args' | 'context' | 'at'
  readonly text: string
  /** Arguments, context, or the labels of a subject. */
  readonly map: Expr | null
  /** For `at`; NaN where the text is no instant. */
  readonly ms: number
  readonly span: Span
}

const kindOf = (at: Token): GivenPart['kind'] => at.text as GivenPart['kind']

export const givenText = (at: Token, name: Identifier): GivenPart => givenSubject(at, name, null)
export const givenSubject = (at: Token, name: Identifier, labels: Expr | null): GivenPart => ({
  kind: kindOf(at),
  text: name.name,
  map: labels,
  ms: 0,
  span: spanOf(at, labels ?? name),
})
export const givenMap = (at: Token, value: Expr): GivenPart => ({
  kind: kindOf(at),
  text: '',
  map: value,
  ms: 0,
  span: spanOf(at, value),
})
export const givenTime = (at: Token, time: Token): GivenPart => ({
  kind: 'at',
  text: '',
  map: null,
  ms: instantOf(time),
  span: spanOf(at, time),
})

export interface BuiltGiven {
  readonly given: GivenCall
  readonly faults: readonly BuildFault[]
}
export function given(at: Token, chained: Chain<GivenPart>): BuiltGiven {
  const parts = toArray(chained)
  const first = (kind: GivenPart['kind']) => parts.find((part) => part.kind === kind)
  const textOf = (kind: GivenPart['kind']) => first(kind)?.text ?? null
  const mapOf = (kind: GivenPart['kind']) => first(kind)?.map ?? null
  const span = spanOf(at, parts.at(-1) ?? at)
  const faults: BuildFault[] = [...repeated(parts, (part) => part.kind)]
  const tool = first('tool')
  const time = first('at')
  if (tool === undefined) {
    faults.push({ code: 'POL1006', message: 'this call names no tool', hint: 'say `given tool NAME, …`', span })
  }
  if (time !== undefined && Number.isNaN(time.ms)) {
    faults.push({
      code: 'POL1006',
      message: 'this is no instant',
      hint: 'write at "2026-01-05T10:00Z"',
      span: time.span,
    })
  }
  const call: GivenCall = {
    tool: tool?.text ?? '',
    env: textOf('env'),
    agent: textOf('agent'),
    agentLabels: mapOf('agent'),
    principal: textOf('principal'),
    principalLabels: mapOf('principal'),
    session: textOf('session'),
    tenant: textOf('tenant'),
    args: mapOf('args'),
    context: mapOf('context'),
    atMs: time?.ms ?? null,
    span,
  }
  return { given: call, faults }
}

export function expectation(
  at: Token,
  outcome: Expectation['outcome'],
  last: Token,
  roles: Chain<Identifier>,
  by: Chain<Token>,
): Expectation {
  return {
    outcome,
    roles: toArray(roles).map((role) => role.name),
    by: toArray(by).map((id) => id.text),
    span: spanOf(at, by?.item ?? roles?.item ?? last),
  }
}

export function testCase(at: Token, name: Token, calls: Chain<BuiltGiven>, expect: Expectation, close: Token): Built {
  const parts = toArray(calls)
  return built(
    { kind: 'test', name: text(name), given: parts.map((p) => p.given), expect, span: spanOf(at, close) },
    parts.flatMap((p) => p.faults),
  )
}

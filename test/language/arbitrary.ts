import fc from 'fast-check'
import type {
  ApprovalClause,
  Declaration,
  Expr,
  Identifier,
  NamePattern,
  Parameter,
  RememberNode,
  RuleBody,
  RuleEffect,
  ScopeTerm,
  TypeNode,
} from '../../src/language/ast.js'
import { isWord } from '../../src/language/lexer.js'

/** Trees as the parser could build them, with empty spans: every kind of node, names that look like keywords, odd texts. */

const SPAN = { start: 0, end: 0 } as const

/** Words of the grammar that are no reserved words, so that names and keywords meet. */
const KEYWORDISH =
  'on when unless allow deny require approval from then within else escalate to after valid for by requester author authors reason required may edit remember exact times at most break glass receipt if severity tags mode monitor active until unknown means no match list tool env policy fleet rule use test default given expect with redact notify string number of'.split(
    ' ',
  )
const ROOTS = new Set(['args', 'agent', 'principal', 'session', 'context', 'tool', 'env', 'now'])

const plainWord = fc.stringMatching(/^[a-z_][a-z0-9_]{0,6}(?:-[a-z0-9]{1,3})?$/).filter(isWord)
const word = fc.oneof({ weight: 3, arbitrary: plainWord }, fc.constantFrom(...KEYWORDISH))
/** Names in expressions: not roots, which would be references. */
const name = word.filter((text) => !ROOTS.has(text))
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('', '*', 'a b', '"', '\\', '# no comment', '\u0000', '\u202e'),
)
const freeName = fc.oneof({ weight: 3, arbitrary: word }, text)
const anyWord = fc.oneof(word, fc.constantFrom('in', 'not', 'matches', 'tag', 'true', 'any'))
const dotted = fc.tuple(word, fc.array(anyWord, { maxLength: 2 })).map(([first, rest]) => [first, ...rest].join('.'))
const freeDotted = fc.oneof({ weight: 3, arbitrary: dotted }, text)
const identifier = (names: fc.Arbitrary<string>): fc.Arbitrary<Identifier> =>
  names.map((value) => ({ kind: 'identifier', name: value, span: SPAN }))

const durationMs = fc.oneof(fc.constantFrom(0, 1, 999, 60_000, 5_400_000, 86_400_000), fc.nat(10_000_000_000))
const instantMs = fc.oneof(
  fc.constantFrom(Date.UTC(2026, 0, 5), Date.UTC(2026, 0, 5, 10), Date.UTC(2026, 0, 5, 10, 0, 1), 1),
  fc.integer({ min: Date.UTC(1000, 0, 1), max: Date.UTC(9999, 11, 31) }),
)
const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
)

// ---------------------------------------------------------------- expressions

const literal: fc.Arbitrary<Expr> = fc
  .oneof(text, number, fc.boolean(), fc.constant(null))
  .map((value) => ({ kind: 'literal', value, span: SPAN }))

const reference: fc.Arbitrary<Expr> = fc
  .tuple(
    fc.constantFrom('args', 'agent', 'principal', 'session', 'context', 'tool', 'env', 'now' as const),
    fc.array(fc.oneof(anyWord, text), { maxLength: 3 }),
  )
  .map(([root, path]) => ({ kind: 'reference', root, path, span: SPAN }))

const leaf: fc.Arbitrary<Expr> = fc.oneof(
  literal,
  reference,
  name.map((value): Expr => ({ kind: 'name', name: value, span: SPAN })),
  durationMs.map((ms): Expr => ({ kind: 'duration', ms, span: SPAN })),
  instantMs.map((ms): Expr => ({ kind: 'timestamp', ms, span: SPAN })),
  fc
    .constantFrom('10.0.0.0/8', '192.0.2.1', 'fe80::/10', '::1', '2001:db8::1', '::ffff:10.0.0.1')
    .map((value): Expr => ({ kind: 'cidr', text: value, span: SPAN })),
)

const days = fc.option(
  fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }).map((d) => d.sort((a, b) => a - b)),
)
const isNumber = (expr: Expr): boolean => expr.kind === 'literal' && typeof expr.value === 'number'
const isText = (expr: Expr): boolean => expr.kind === 'literal' && typeof expr.value === 'string'

const operators = [
  'in',
  'not-in',
  'contains',
  'contains-any',
  'contains-all',
  'intersects',
  'subset',
  'starts-with',
  'ends-with',
  'like',
  'under',
] as const

export const expr: fc.Arbitrary<Expr> = fc.letrec<{ expr: Expr }>((tie) => {
  const inner = tie('expr')
  const logical = (kind: 'and' | 'or'): fc.Arbitrary<Expr> =>
    fc
      .array(
        inner.filter((operand) => operand.kind !== kind),
        { minLength: 2, maxLength: 3 },
      )
      .map((operands) => ({ kind, operands, span: SPAN }))
  return {
    expr: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      leaf,
      fc.array(inner, { maxLength: 3 }).map((items): Expr => ({ kind: 'list-literal', items, span: SPAN })),
      fc
        .array(fc.record({ key: fc.oneof(anyWord, text), value: inner }), { maxLength: 2 })
        .map((entries): Expr => ({ kind: 'map-literal', entries, span: SPAN })),
      fc
        .tuple(
          inner.filter((of) => of.kind !== 'reference'),
          anyWord,
        )
        .map(([of, field]): Expr => ({ kind: 'field', of, field, span: SPAN })),
      fc
        .tuple(inner, inner)
        .filter(([of, index]) => of.kind !== 'reference' || !isText(index))
        .map(([of, index]): Expr => ({ kind: 'index', of, index, span: SPAN })),
      fc
        .tuple(fc.constantFrom('sql', 'url', 'domain', 'count', 'f'), fc.array(inner, { maxLength: 2 }))
        .map(([fn, args]): Expr => ({ kind: 'call', fn, args, span: SPAN })),
      inner.map((operand): Expr => ({ kind: 'not', operand, span: SPAN })),
      inner.map((operand): Expr => ({ kind: 'exists', operand, span: SPAN })),
      inner.filter((operand) => !isNumber(operand)).map((operand): Expr => ({ kind: 'negate', operand, span: SPAN })),
      logical('and'),
      logical('or'),
      fc
        .tuple(fc.constantFrom('+', '-', '*', '/' as const), inner, inner)
        .map(([op, left, right]): Expr => ({ kind: 'arithmetic', op, left, right, span: SPAN })),
      fc
        .tuple(fc.constantFrom('==', '!=', '<', '<=', '>', '>=' as const), inner, inner)
        .map(([op, left, right]): Expr => ({ kind: 'compare', op, left, right, span: SPAN })),
      fc
        .tuple(fc.constantFrom(...operators), inner, inner)
        .map(([op, left, right]): Expr => ({ kind: 'relation', op, left, right, span: SPAN })),
      fc
        .tuple(inner, fc.constantFrom('a', 'a\\/b', '[^"#]+', ' '), fc.constantFrom('', 'i', 's', 'is'))
        .map(([subject, pattern, flags]): Expr => ({ kind: 'matches', subject, pattern, flags, span: SPAN })),
      fc.tuple(fc.constantFrom('any', 'all' as const), identifier(word), inner, inner).map(
        ([quantifier, variable, over, body]): Expr => ({
          kind: 'quantifier',
          quantifier,
          variable,
          over,
          body,
          span: SPAN,
        }),
      ),
      fc.tuple(inner, fc.nat(1439), fc.nat(1440), fc.constantFrom('UTC', 'Europe/Berlin', 'a "b"'), days).map(
        ([subject, fromMinute, untilMinute, zone, on]): Expr => ({
          kind: 'time-window',
          subject,
          fromMinute,
          untilMinute,
          zone,
          days: on,
          span: SPAN,
        }),
      ),
    ),
  }
}).expr

// ---------------------------------------------------------------- rules

const pattern: fc.Arbitrary<NamePattern> = fc.oneof(
  freeDotted.map((value): NamePattern => ({ kind: 'literal', text: value, span: SPAN })),
  fc
    .oneof(fc.constantFrom('*', 'db.*', '*.delete', 'send_*', 'a*b', '*-x', 'no star', '**'), text)
    .map((value): NamePattern => ({ kind: 'glob', text: value, span: SPAN })),
)
const toolPattern = fc.oneof(
  pattern,
  freeName.map((value): NamePattern => ({ kind: 'tag', text: value, span: SPAN })),
  fc
    .constantFrom('literal', 'undeclared' as const)
    .map((kind): NamePattern => ({ kind, text: 'undeclared', span: SPAN })),
)
const some = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<readonly T[]> => fc.array(one, { minLength: 1, maxLength: 3 })

const scopeTerm: fc.Arbitrary<ScopeTerm> = fc.oneof(
  some(toolPattern).map((patterns): ScopeTerm => ({ kind: 'scope', on: 'tool', patterns, span: SPAN })),
  fc
    .tuple(fc.constantFrom('env', 'agent', 'principal', 'tenant' as const), some(pattern))
    .map(([on, patterns]): ScopeTerm => ({ kind: 'scope', on, patterns, span: SPAN })),
  fc
    .tuple(fc.constantFrom('agent', 'principal' as const), identifier(word), some(pattern))
    .map(([on, label, patterns]): ScopeTerm => ({ kind: 'scope-label', on, label, patterns, span: SPAN })),
)

/** What stands in `name = …`: what binds looser would need parentheses, which leave no trace. */
const attribute = fc.record({ attribute: identifier(fc.oneof(anyWord, text)), value: expr, span: fc.constant(SPAN) })
const voters = fc.record({
  count: fc.integer({ min: 1, max: 9 }),
  role: identifier(freeName),
  where: fc.array(attribute, { maxLength: 2 }),
  span: fc.constant(SPAN),
})
const stage = fc.record({ from: some(voters), condition: fc.option(expr) })
const path: fc.Arbitrary<Expr> = fc
  .tuple(fc.constantFrom('args', 'context', 'agent' as const), some(fc.oneof(anyWord, text)))
  .map(([root, steps]) => ({ kind: 'reference', root, path: steps, span: SPAN }))
const remembered: fc.Arbitrary<RememberNode> = fc
  .record({
    scope: fc.constantFrom('exact', 'tool', 'fields' as const),
    paths: some(path),
    forMs: durationMs,
    atMost: fc.option(fc.integer({ min: 1, max: 99 })),
    span: fc.constant(SPAN),
  })
  .map((node) => (node.scope === 'fields' ? node : { ...node, paths: [] }))
const approval: fc.Arbitrary<ApprovalClause> = fc
  .record({
    kind: fc.constant('approval' as const),
    stages: some(stage),
    withinMs: fc.option(durationMs),
    onTimeout: fc.option(
      fc.oneof(
        fc.constant({ kind: 'deny' } as const),
        fc.record({ kind: fc.constant('escalate' as const), role: identifier(freeName) }),
      ),
    ),
    escalations: fc.array(fc.record({ role: identifier(freeName), afterMs: durationMs, span: fc.constant(SPAN) }), {
      maxLength: 2,
    }),
    validForMs: fc.option(durationMs),
    notByRequester: fc.boolean(),
    notByAuthor: fc.option(fc.constant({ span: SPAN })),
    reasonRequired: fc.option(fc.constantFrom('approval', 'rejection', 'both' as const)),
    mayEdit: fc.array(path, { maxLength: 2 }),
    mayRemember: fc.array(remembered, { maxLength: 2 }),
    breakGlass: fc.option(identifier(freeName)),
    span: fc.constant(SPAN),
  })
  .map((clause) => (clause.withinMs === null ? { ...clause, onTimeout: null } : clause))

const effect: fc.Arbitrary<RuleEffect> = fc.oneof(
  fc
    .array(
      fc.oneof(
        fc.record({ kind: fc.constantFrom('redact', 'mask' as const), target: dotted, span: fc.constant(SPAN) }),
        fc.record({ kind: fc.constant('max_rows' as const), rows: fc.nat(10_000), span: fc.constant(SPAN) }),
        fc.record({ kind: fc.constant('notify' as const), target: freeName, span: fc.constant(SPAN) }),
      ),
      { maxLength: 2 },
    )
    .map((obligations): RuleEffect => ({ kind: 'allow', obligations, span: SPAN })),
  text.map((why): RuleEffect => ({ kind: 'deny', why, span: SPAN })),
  fc
    .tuple(text, approval)
    .map(([why, clause]): RuleEffect => ({ kind: 'deny-except', why, approval: clause, span: SPAN })),
  approval.map((clause): RuleEffect => ({ kind: 'require-approval', approval: clause, span: SPAN })),
)

const body: fc.Arbitrary<RuleBody> = fc.record({
  scope: fc.array(scopeTerm, { maxLength: 2 }),
  conditions: fc.array(fc.record({ kind: fc.constantFrom('when', 'unless' as const), expr, span: fc.constant(SPAN) }), {
    maxLength: 2,
  }),
  effect,
  severity: fc.option(
    fc.record({ value: fc.constantFrom('low', 'medium', 'high', 'critical' as const), span: fc.constant(SPAN) }),
  ),
  tags: fc.array(identifier(fc.oneof(text, fc.constantFrom('soc2:CC6.1', 'owasp-agentic:ASI02', 'in', 'matches'))), {
    maxLength: 2,
  }),
  monitor: fc.boolean(),
  active: fc.option(
    fc
      .record({ fromMs: fc.option(instantMs), untilMs: fc.option(instantMs), span: fc.constant(SPAN) })
      .filter(({ fromMs, untilMs }) => fromMs !== null || untilMs !== null),
  ),
  unknownMeansNoMatch: fc.boolean(),
})

const type: fc.Arbitrary<TypeNode> = fc.letrec<{ type: TypeNode }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3 },
    fc
      .constantFrom('string', 'number', 'boolean', 'map', 'any' as const)
      .map((value): TypeNode => ({ kind: 'type-name', name: value, span: SPAN })),
    tie('type').map((item): TypeNode => ({ kind: 'type-list', item, span: SPAN })),
    fc
      .array(parameterOf(tie('type')), { maxLength: 2 })
      .map((fields): TypeNode => ({ kind: 'type-object', fields, span: SPAN })),
  ),
})).type

function parameterOf(types: fc.Arbitrary<TypeNode>): fc.Arbitrary<Parameter> {
  return fc.record({
    name: identifier(fc.oneof(anyWord, text)),
    optional: fc.boolean(),
    type: types,
    span: fc.constant(SPAN),
  })
}

const tags = fc.array(identifier(fc.oneof(word, text)), { maxLength: 2 })
const map: fc.Arbitrary<Expr> = fc
  .array(fc.record({ key: fc.oneof(anyWord, text), value: literal }), { maxLength: 2 })
  .map((entries) => ({ kind: 'map-literal', entries, span: SPAN }))

export const declaration: fc.Arbitrary<Declaration> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('rule' as const),
      id: identifier(word),
      description: text,
      body,
      span: fc.constant(SPAN),
    }),
  },
  fc.record({
    kind: fc.constant('policy' as const),
    fleet: fc.boolean(),
    name: identifier(word),
    description: text,
    authors: fc.array(identifier(freeName), { maxLength: 2 }),
    speaksFor: fc.array(scopeTerm, { maxLength: 2 }),
    defaultEffect: fc.option(
      fc.oneof(
        fc.constant({ kind: 'default-allow', span: SPAN } as const),
        fc.constant({ kind: 'default-deny', span: SPAN } as const),
        approval.map((clause) => ({ kind: 'default-approval', approval: clause, span: SPAN }) as const),
      ),
    ),
    span: fc.constant(SPAN),
  }),
  fc.record({
    kind: fc.constant('list' as const),
    name: identifier(word),
    source: fc.oneof(
      fc.record({
        kind: fc.constant('inline' as const),
        items: fc.array(expr, { maxLength: 4 }),
        span: fc.constant(SPAN),
      }),
      fc.record({ kind: fc.constant('file' as const), path: text, span: fc.constant(SPAN) }),
    ),
    span: fc.constant(SPAN),
  }),
  fc.record({
    kind: fc.constant('tool' as const),
    name: identifier(freeDotted),
    parameters: fc.array(parameterOf(type), { maxLength: 3 }),
    tags,
    receipt: fc.boolean(),
    span: fc.constant(SPAN),
  }),
  fc.record({
    kind: fc.constant('tool-import' as const),
    path: text,
    tags,
    receipt: fc.boolean(),
    span: fc.constant(SPAN),
  }),
  fc.record({
    kind: fc.constant('template' as const),
    name: identifier(word),
    parameters: fc.array(identifier(word), { maxLength: 3 }),
    description: text,
    body,
    span: fc.constant(SPAN),
  }),
  fc.record({
    kind: fc.constant('use' as const),
    template: identifier(word),
    arguments: fc.array(expr, { maxLength: 3 }),
    id: identifier(word),
    description: text,
    span: fc.constant(SPAN),
  }),
  fc.record({
    kind: fc.constant('test' as const),
    name: text,
    given: some(
      fc
        .record({
          tool: freeDotted,
          env: fc.option(freeDotted),
          agent: fc.option(text),
          agentLabels: fc.option(map),
          principal: fc.option(text),
          principalLabels: fc.option(map),
          session: fc.option(text),
          tenant: fc.option(freeDotted),
          args: fc.option(map),
          context: fc.option(map),
          atMs: fc.option(instantMs),
          span: fc.constant(SPAN),
        })
        .map((given) => ({
          ...given,
          agentLabels: given.agent === null ? null : given.agentLabels,
          principalLabels: given.principal === null ? null : given.principalLabels,
        })),
    ),
    expect: fc
      .record({
        outcome: fc.constantFrom('ALLOW', 'DENY', 'REQUIRE_APPROVAL' as const),
        roles: fc.array(freeName, { maxLength: 2 }),
        by: fc.array(word, { maxLength: 2 }),
        span: fc.constant(SPAN),
      })
      .map((expected) => (expected.outcome === 'REQUIRE_APPROVAL' ? expected : { ...expected, roles: [] })),
    span: fc.constant(SPAN),
  }),
)

/** The tree without its places, for comparison. */
export function withoutSpans(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutSpans)
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => key !== 'span')
      .map(([key, value]) => [key, withoutSpans(value)]),
  )
}

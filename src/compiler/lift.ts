import type { Expr, NamePattern, ScopeTerm } from '../language/ast.js'
import type { ListItem } from '../language/checked.js'
import type { Subject } from '../model/call.js'
import { compileGlob } from './glob.js'
import type { NamePatterns } from './names.js'
import type { TruthFn, ValueFn } from './predicate/frame.js'
import { constantValue } from './predicate/lower.js'
import { toTruth } from './predicate/truth.js'
import { isList, type Value } from './predicate/value.js'
import type { Predicates } from './predicates.js'

/** A list longer than this is left to its predicate: a table entry for each item costs more than it saves. */
const MAX_KEY_VALUES = 64

export type KeyValue = string | number | boolean

/** A value of the call that rules demand by equality, so that a table can pick those that demand this one. */
export interface Feature {
  readonly key: string
  readonly type: 'string' | 'number' | 'boolean'
  readonly read: ValueFn
  /** A scope term is false where the value is missing; a condition is unknown there, and its rules must be looked at. */
  readonly isScope: boolean
}

/** The value of the feature must be one of these. */
export interface Key {
  readonly feature: Feature
  readonly values: readonly KeyValue[]
  /** As the author wrote it. */
  readonly text: string
}

/** The indexable part of a rule or a policy. */
export interface Lifted {
  /** Pattern numbers; one of each term must be fitted by the tool's name or tags. */
  readonly toolTerms: (readonly number[])[]
  /** Where set, tools that fit these are left out: another entry of the same rule has them. */
  exceptToolTerms: readonly (readonly number[])[] | null
  readonly envTerms: (readonly number[])[]
  /** How many of the terms come from `on`; those after them were lifted out of conditions. */
  scopeToolTerms: number
  scopeEnvTerms: number
  readonly keys: Key[]
  /** Predicates of agent, principal and labels. */
  readonly scope: number[]
  /** Conjuncts that tool and environment settle: they need no predicate. */
  readonly settled: Set<Expr>
  /** What was lifted, in the author's words, for explain-index. */
  readonly texts: string[]
}

export interface Patterns {
  readonly tools: NamePatterns
  readonly environments: NamePatterns
}

export function nothingLifted(): Lifted {
  return {
    toolTerms: [],
    exceptToolTerms: null,
    envTerms: [],
    scopeToolTerms: 0,
    scopeEnvTerms: 0,
    keys: [],
    scope: [],
    settled: new Set(),
    texts: [],
  }
}

/**
 * Lifts a scope term.
 *
 * @param tagKind whose tags `tool tag T` means
 * @returns false when the term can never hold for this tenant
 */
export function liftScopeTerm(
  term: ScopeTerm,
  tenant: string,
  tagKind: 'tag' | 'fleet-tag',
  lifted: Lifted,
  patterns: Patterns,
  predicates: Predicates,
): boolean {
  if (term.kind === 'scope-label') {
    const label = term.label.name
    liftSubject(term.on, `${term.on} ${label}`, (subject) => own(subject, label), term.patterns, lifted, predicates)
    return true
  }
  switch (term.on) {
    case 'tenant':
      return term.patterns.some((pattern) => fits(pattern)(tenant))
    case 'tool':
      if (term.patterns.some(isEverything)) return true
      lifted.toolTerms.push(
        term.patterns.map(({ kind, text }) => patterns.tools.intern(kind === 'tag' ? tagKind : kind, text)),
      )
      lifted.scopeToolTerms++
      lifted.texts.push(describe('tool', term.patterns))
      return true
    case 'env':
      if (term.patterns.some(isEverything)) return true
      lifted.envTerms.push(term.patterns.map((pattern) => patterns.environments.intern(pattern.kind, pattern.text)))
      lifted.scopeEnvTerms++
      lifted.texts.push(describe('env', term.patterns))
      return true
    default:
      liftSubject(term.on, term.on, (subject) => subject.id, term.patterns, lifted, predicates)
      return true
  }
}

/** `*` demands nothing. */
function isEverything({ kind, text }: NamePattern): boolean {
  return kind === 'glob' && /^\*+$/.test(text)
}

function own(subject: Subject, label: string): string | undefined {
  return Object.hasOwn(subject.labels, label) ? subject.labels[label] : undefined
}

function liftSubject(
  on: 'agent' | 'principal',
  name: string,
  read: (subject: Subject) => string | undefined,
  among: readonly NamePattern[],
  lifted: Lifted,
  predicates: Predicates,
): void {
  const value = (call: { agent: Subject; principal: Subject | null }) => {
    const subject = call[on]
    return subject === null ? undefined : read(subject)
  }
  const spelled = among.map((pattern) => `${pattern.kind}:${pattern.text}`).sort()
  const key = JSON.stringify([name, ...spelled])
  const allLiteral = among.every((pattern) => pattern.kind === 'literal')
  lifted.scope.push(predicates.ofScope(key, allLiteral ? 1 : 3, () => subjectPredicate(value, among)))
  if (!allLiteral || among.length > MAX_KEY_VALUES) return
  const feature: Feature = {
    key: `scope ${name}`,
    type: 'string',
    isScope: true,
    read: (frame) => value(frame.call),
  }
  lifted.keys.push({ feature, values: among.map((pattern) => pattern.text), text: describe(name, among) })
}

function subjectPredicate(
  read: (call: { agent: Subject; principal: Subject | null }) => string | undefined,
  among: readonly NamePattern[],
): TruthFn {
  const literals = new Set(among.filter((pattern) => pattern.kind === 'literal').map((pattern) => pattern.text))
  const globs = among.filter((pattern) => pattern.kind === 'glob').map(fits)
  return (frame) => {
    const text = read(frame.call)
    return toTruth(text !== undefined && (literals.has(text) || globs.some((glob) => glob(text))))
  }
}

function fits(pattern: NamePattern): (name: string) => boolean {
  return pattern.kind === 'glob'
    ? compileGlob(pattern.text)
    : (name) => pattern.kind === 'literal' && name === pattern.text
}

/** Lifts an equality or membership of a conjunct, if it is one. */
export function liftConjunct(
  expr: Expr,
  lists: ReadonlyMap<string, readonly ListItem[]>,
  text: () => string,
  lifted: Lifted,
  patterns: Patterns,
  predicates: Predicates,
): void {
  const demand = demandOf(expr, lists)
  if (demand === undefined) return
  const { reference, values } = demand
  const names = values.filter((value) => typeof value === 'string')
  const isText = names.length === values.length
  if (isText && reference.root === 'env' && reference.path.length === 0) {
    lifted.envTerms.push(names.map((name) => patterns.environments.intern('literal', name)))
  } else if (isText && reference.root === 'tool' && reference.path.length === 1 && reference.path[0] === 'name') {
    lifted.toolTerms.push(names.map((name) => patterns.tools.intern('literal', name)))
  } else {
    liftKey(reference, values, lists, text(), lifted, predicates)
    return
  }
  lifted.settled.add(expr)
  lifted.texts.push(text())
}

function liftKey(
  reference: Expr,
  values: readonly KeyValue[],
  lists: ReadonlyMap<string, readonly ListItem[]>,
  text: string,
  lifted: Lifted,
  predicates: Predicates,
): void {
  const type = typeof values[0]
  if (values.length > MAX_KEY_VALUES || values.some((value) => typeof value !== type)) return
  if (type !== 'string' && type !== 'number' && type !== 'boolean') return
  const { key, read } = predicates.reader(reference, lists)
  lifted.keys.push({ feature: { key: `${type} ${key}`, type, read, isScope: false }, values, text })
}

interface Demand {
  readonly reference: Extract<Expr, { kind: 'reference' }>
  readonly values: readonly KeyValue[]
}

/** `reference == literal`, either way round, or `reference in [literals]`. */
function demandOf(expr: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): Demand | undefined {
  if (expr.kind === 'compare' && expr.op === '==') {
    return equality(expr.left, expr.right, lists) ?? equality(expr.right, expr.left, lists)
  }
  if (expr.kind !== 'relation' || expr.op !== 'in' || expr.left.kind !== 'reference') return undefined
  const constant = constantValue(expr.right, { lists, variables: [] })?.value
  if (!isList(constant) || constant.length === 0 || !constant.every(isKeyValue)) return undefined
  return { reference: expr.left, values: constant }
}

function equality(reference: Expr, literal: Expr, lists: ReadonlyMap<string, readonly ListItem[]>): Demand | undefined {
  if (reference.kind !== 'reference') return undefined
  const value = constantValue(literal, { lists, variables: [] })?.value
  return isKeyValue(value) ? { reference, values: [value] } : undefined
}

function isKeyValue(value: Value): value is KeyValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function describe(on: string, patterns: readonly NamePattern[]): string {
  const names = patterns.map((pattern) => (pattern.kind === 'tag' ? `tag ${pattern.text}` : pattern.text))
  return names.length === 1 ? `${on} ${names[0]}` : `${on} [${names.join(', ')}]`
}

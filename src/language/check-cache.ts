import type { Span } from '../model/span.js'
import { approvalOf, stageConditions } from './approval-clause.js'
import type { Declaration, PolicyHeader, Rule, TemplateUse } from './ast.js'
import { CONDITION_CHECKS, RULE_CHECKS } from './check/all.js'
import type { JudgedRule, RuleSite, Surroundings } from './check/context.js'
import type { Code } from './codes.js'
import { type RuleCore, surveysOf } from './rule-core.js'
import { type Survey, surveyOf } from './survey.js'

/** A finding about a rule; its span counts from the rule's start, null is the rule's name. */
export interface RuleFinding {
  readonly code: Code
  readonly span: Span | null
  readonly message: string
  readonly hint: string | undefined
}

/** What the rules of one layer came to, for as long as nothing but rules changes. */
export class LayerMemory {
  readonly #cores = new Map<PolicyHeader, WeakMap<Rule | TemplateUse, RuleCore>>()
  readonly #findings = new WeakMap<RuleCore, readonly RuleFinding[]>()
  /** Set once, by the first check that runs over the layer. */
  surroundings: Surroundings | null = null

  /** Of the rules under a header, by what they were written as. */
  coresUnder(header: PolicyHeader): WeakMap<Rule | TemplateUse, RuleCore> {
    let cores = this.#cores.get(header)
    if (cores === undefined) {
      cores = new WeakMap()
      this.#cores.set(header, cores)
    }
    return cores
  }

  findingsOf({ core }: RuleSite, surroundings: Surroundings): readonly RuleFinding[] {
    let findings = this.#findings.get(core)
    if (findings === undefined) {
      findings = judge(core, surroundings)
      this.#findings.set(core, findings)
    }
    return findings
  }
}

function judge(core: RuleCore, surroundings: Surroundings): readonly RuleFinding[] {
  let findings: RuleFinding[] | null = null
  const report = (code: Code, span: Span | null, message: string, hint?: string): void => {
    findings ??= []
    findings.push({ code, span, message, hint })
  }
  const surveys = surveysOf(core.node)
  const excerpt = ({ start, end }: Span): string => core.text.slice(start, end)
  const tools = surroundings.known.inScope(core.scope)
  const rule: JudgedRule = { ...core, surveys, guarded: guardedArguments(surveys), tools, excerpt }
  for (const check of RULE_CHECKS) check(rule, surroundings, report)
  if (core.template === null) {
    const clause = approvalOf(core.node.body.effect)
    const staged = clause === null ? NO_SURVEYS : stageConditions(clause).map(surveyOf)
    for (const survey of [...surveys, ...staged]) for (const check of CONDITION_CHECKS) check(survey, report)
  }
  return findings ?? NONE
}

const NO_SURVEYS: readonly Survey[] = []
const NOTHING: ReadonlySet<string> = new Set()

function guardedArguments(surveys: readonly Survey[]): ReadonlySet<string> {
  if (!surveys.some((survey) => survey.has('exists'))) return NOTHING
  const guarded = new Set<string>()
  for (const { nodes } of surveys) {
    for (const expr of nodes) {
      if (expr.kind !== 'exists' || expr.operand.kind !== 'reference' || expr.operand.root !== 'args') continue
      guarded.add(expr.operand.path[0] ?? '')
    }
  }
  return guarded
}

const NONE: readonly RuleFinding[] = []

/** What the meaning of rules depends on besides their own text: every other declaration with its file, and the files read. */
interface Ground {
  readonly declarations: readonly (Declaration | string)[]
  readonly attachments: ReadonlyMap<string, Uint8Array | undefined>
}

/**
 * Remembers what was found out about each rule, from one check of a bundle to the next. All of it is forgotten when anything but
 * rules and tests changed, so that a rule is never judged by what a list or a tool was before.
 */
export class CheckMemory {
  /** Another object whenever all was forgotten. */
  ground: object = {}
  #ground: Ground | null = null
  #layers = new Map<string | null, LayerMemory>()

  /** To be called before layers are built, with what they will be built of. */
  stand(declarations: Ground['declarations'], attachmentOf: (path: string) => Uint8Array | undefined): void {
    const before = this.#ground
    const isSame =
      before !== null &&
      before.declarations.length === declarations.length &&
      declarations.every((declaration, at) => declaration === before.declarations[at]) &&
      [...before.attachments].every(([path, bytes]) => isEqual(bytes, attachmentOf(path)))
    if (isSame) return
    this.ground = {}
    this.#ground = { declarations, attachments: new Map() }
    this.#layers = new Map()
  }

  /** To be called after they were built, with the files that were looked for, whether they exist or not. */
  readFiles(paths: Iterable<string>, attachmentOf: (path: string) => Uint8Array | undefined): void {
    if (this.#ground === null) return
    this.#ground = { ...this.#ground, attachments: new Map([...paths].map((path) => [path, attachmentOf(path)])) }
  }

  layer(id: string | null): LayerMemory {
    let layer = this.#layers.get(id)
    if (layer === undefined) {
      layer = new LayerMemory()
      this.#layers.set(id, layer)
    }
    return layer
  }
}

const isEqual = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0)

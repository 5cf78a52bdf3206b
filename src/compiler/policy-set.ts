import { Answers } from './answers.js'
import type { DefaultEntry, Entry, Layer } from './entry.js'
import type { Findings } from './findings.js'
import type { Lifted } from './lift.js'
import { Frame } from './predicate/frame.js'
import type { Predicates } from './predicates.js'
import type { RuleIndex } from './rule-index.js'

/** A tool that some policy declares or imports. */
export interface DeclaredTool {
  readonly name: string
  /** Of every declaration, fleet and tenant: a tenant cannot take a tag off a tool. */
  readonly tags: readonly string[]
  /** Names of the arguments that any of the declarations has. */
  readonly parameters: ReadonlySet<string>
}

export interface PolicySetParts {
  readonly revision: string
  readonly tenant: string
  readonly tools: ReadonlyMap<string, DeclaredTool>
  readonly entries: readonly Entry[]
  readonly lifted: readonly Lifted[]
  readonly always: Always
  readonly predicates: Predicates
  readonly index: RuleIndex
}

/** Defaults that speak for every call, by layer: known without asking the index. */
export interface Always {
  readonly findings: Readonly<Record<Layer, Findings>>
  readonly defaults: readonly DefaultEntry[]
}

/**
 * All policies that judge the calls of one tenant, compiled: the fleet's and its own. Immutable as seen from outside, and
 * swapped as a whole; what it keeps inside (the memo of the decision at hand, programs of undeclared tool names) is bounded
 * and never changes an answer.
 */
export class PolicySet {
  /** `sha256:` and 64 hex digits over the files of the bundle. */
  readonly revision: string
  readonly tenant: string
  readonly tools: ReadonlyMap<string, DeclaredTool>
  /** Rules in the order in which answers list them, then defaults by policy. For the compiler and the engine. */
  readonly entries: readonly Entry[]
  readonly lifted: readonly Lifted[]
  readonly always: Always
  readonly predicates: Predicates
  readonly index: RuleIndex
  readonly frame: Frame
  readonly answers: Answers

  constructor(parts: PolicySetParts) {
    this.revision = parts.revision
    this.tenant = parts.tenant
    this.tools = parts.tools
    this.entries = parts.entries
    this.lifted = parts.lifted
    this.always = parts.always
    this.predicates = parts.predicates
    this.index = parts.index
    this.answers = new Answers(parts.entries.length)
    this.frame = new Frame(parts.predicates.functions, parts.predicates.slots, parts.entries.length)
  }
}

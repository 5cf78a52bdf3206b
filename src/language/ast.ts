import type { RuleSeverity } from '../model/outcome.js'
import type { Span } from '../model/span.js'

/**
 * The tree of a policy file: closed unions of plain, readonly objects. Nodes carry a `kind` and a `span` and nothing that
 * a later phase found out; phases keep their results in structures of their own. Spans count from the start of the
 * declaration (see {@link Placed}), so the parse of an unchanged declaration is reused wherever it moved.
 */
export interface PolicyFile {
  readonly kind: 'policy-file'
  readonly path: string
  /** In the order of the text. A `policy` header, where there is one, is among them. */
  readonly declarations: readonly Placed[]
}

/** A declaration and where it stands: `offset` of its first character in the file, and the text that its spans count in. */
export interface Placed {
  readonly node: Declaration
  readonly offset: number
  readonly text: string
}

export type Declaration =
  | PolicyHeader
  | ListDeclaration
  | ToolDeclaration
  | ToolImport
  | Rule
  | Template
  | TemplateUse
  | TestCase

/** A name as written, with its place. */
export interface Identifier {
  readonly kind: 'identifier'
  readonly name: string
  readonly span: Span
}

// ---------------------------------------------------------------- declarations

/** `fleet policy NAME "…"  for …  default …`: which calls the file's rules speak for, and what holds when none of them matches. */
export interface PolicyHeader {
  readonly kind: 'policy'
  readonly fleet: boolean
  readonly name: Identifier
  readonly description: string
  /** `authors [alice, "bob@example.com"]`: whom `not by author` keeps from approving. */
  readonly authors: readonly Identifier[]
  /** All must hold; empty means every call of the tenant. */
  readonly speaksFor: readonly ScopeTerm[]
  /** Null when left out, which means deny. */
  readonly defaultEffect: DefaultEffect | null
  readonly span: Span
}

export type DefaultEffect =
  | { readonly kind: 'default-allow'; readonly span: Span }
  | { readonly kind: 'default-deny'; readonly span: Span }
  | { readonly kind: 'default-approval'; readonly approval: ApprovalClause; readonly span: Span }

export interface ListDeclaration {
  readonly kind: 'list'
  readonly name: Identifier
  readonly source:
    | { readonly kind: 'inline'; readonly items: readonly Expr[]; readonly span: Span }
    | { readonly kind: 'file'; readonly path: string; readonly span: Span }
  readonly span: Span
}

export interface ToolDeclaration {
  readonly kind: 'tool'
  /** May be dotted: `payments.transfer`. */
  readonly name: Identifier
  readonly parameters: readonly Parameter[]
  readonly tags: readonly Identifier[]
  /** Every ALLOW of the tool carries a signed receipt. */
  readonly receipt: boolean
  readonly span: Span
}
export interface Parameter {
  readonly name: Identifier
  readonly optional: boolean
  readonly type: TypeNode
  readonly span: Span
}
export type TypeNode =
  | { readonly kind: 'type-name'; readonly name: 'string' | 'number' | 'boolean' | 'map' | 'any'; readonly span: Span }
  | { readonly kind: 'type-list'; readonly item: TypeNode; readonly span: Span }
  | { readonly kind: 'type-object'; readonly fields: readonly Parameter[]; readonly span: Span }

/** `import tools from "tools.json" tags [egress] receipt`: an MCP `tools/list` answer (or its `tools` array). */
export interface ToolImport {
  readonly kind: 'tool-import'
  readonly path: string
  readonly tags: readonly Identifier[]
  readonly receipt: boolean
  readonly span: Span
}

export interface Rule {
  readonly kind: 'rule'
  readonly id: Identifier
  readonly description: string
  readonly body: RuleBody
  readonly span: Span
}

export interface RuleBody {
  /** `on`: all must hold; empty means every call the policy speaks for. */
  readonly scope: readonly ScopeTerm[]
  /** `when` and `unless`, in the order of the text. All `when` must hold and no `unless` may. */
  readonly conditions: readonly ConditionClause[]
  readonly effect: RuleEffect
  readonly severity: { readonly value: RuleSeverity; readonly span: Span } | null
  readonly tags: readonly Identifier[]
  readonly monitor: boolean
  readonly active: ActiveDates | null
  readonly unknownMeansNoMatch: boolean
}

export interface ConditionClause {
  readonly kind: 'when' | 'unless'
  readonly expr: Expr
  readonly span: Span
}

/** UTC dates or instants; `from` inclusive, `until` exclusive; null means open. */
export interface ActiveDates {
  readonly fromMs: number | null
  readonly untilMs: number | null
  readonly span: Span
}

/** `template NAME(p, q) { rule body }`. Parameters appear in the body as {@link Name} expressions, and as names in scopes and roles. */
export interface Template {
  readonly kind: 'template'
  readonly name: Identifier
  readonly parameters: readonly Identifier[]
  readonly description: string
  readonly body: RuleBody
  readonly span: Span
}

/** `use NAME(argument, …) as RULE_ID "description"`. */
export interface TemplateUse {
  readonly kind: 'use'
  readonly template: Identifier
  readonly arguments: readonly Expr[]
  readonly id: Identifier
  readonly description: string
  readonly span: Span
}

// ---------------------------------------------------------------- scope

/** One condition on who calls what, where; the alternatives of a bracketed set are ORed. */
export type ScopeTerm =
  | {
      readonly kind: 'scope'
      readonly on: 'tool' | 'env' | 'agent' | 'principal' | 'tenant'
      readonly patterns: readonly NamePattern[]
      readonly span: Span
    }
  | {
      readonly kind: 'scope-label'
      readonly on: 'agent' | 'principal'
      readonly label: Identifier
      readonly patterns: readonly NamePattern[]
      readonly span: Span
    }

/**
 * `tag` and `undeclared` only under `on tool`; `undeclared` fits every name that no tool in view is declared under. In a
 * glob `*` stands for any run of characters, dots included.
 */
export interface NamePattern {
  readonly kind: 'literal' | 'glob' | 'tag' | 'undeclared'
  /** The name, the glob or the tag; of `undeclared` the word itself. */
  readonly text: string
  readonly span: Span
}

// ---------------------------------------------------------------- effects

export type RuleEffect =
  | { readonly kind: 'allow'; readonly obligations: readonly ObligationNode[]; readonly span: Span }
  | { readonly kind: 'deny'; readonly why: string; readonly span: Span }
  | { readonly kind: 'deny-except'; readonly why: string; readonly approval: ApprovalClause; readonly span: Span }
  | { readonly kind: 'require-approval'; readonly approval: ApprovalClause; readonly span: Span }

/** `redact args.ssn`, `mask result.email`, `max_rows 1000`, `notify "sec-oncall"`. */
export type ObligationNode =
  | { readonly kind: 'redact' | 'mask'; readonly target: string; readonly span: Span }
  | { readonly kind: 'max_rows'; readonly rows: number; readonly span: Span }
  | { readonly kind: 'notify'; readonly target: string; readonly span: Span }

export interface ApprovalClause {
  readonly kind: 'approval'
  /** At least one. `from a then from 2 of b` is two stages; `from a and 2 of b` one stage with two groups. */
  readonly stages: readonly ApprovalStageNode[]
  readonly withinMs: number | null
  /** What `within D else …` says; null when left out, which means deny. */
  readonly onTimeout: { readonly kind: 'deny' } | { readonly kind: 'escalate'; readonly role: Identifier } | null
  readonly escalations: readonly { readonly role: Identifier; readonly afterMs: number; readonly span: Span }[]
  readonly validForMs: number | null
  readonly notByRequester: boolean
  /** Where `not by author` stands; the authors are those of the policy. */
  readonly notByAuthor: { readonly span: Span } | null
  readonly reasonRequired: 'approval' | 'rejection' | 'both' | null
  /** `may edit args.amount, args.note`: references. */
  readonly mayEdit: readonly Expr[]
  readonly mayRemember: readonly RememberNode[]
  /** The role that may open the call alone, reviewed afterwards. */
  readonly breakGlass: Identifier | null
  readonly span: Span
}
export interface ApprovalStageNode {
  readonly from: readonly VoterGroupNode[]
  /** `then from B if …`: the stage is asked where this holds or is unknown. Null for always. */
  readonly condition: Expr | null
}
/** `2 of support-manager (region = args.region, level = "senior")`: persons with the role whose every attribute equals. */
export interface VoterGroupNode {
  readonly count: number
  readonly role: Identifier
  readonly where: readonly AttributeNode[]
  readonly span: Span
}
export interface AttributeNode {
  readonly attribute: Identifier
  /** A literal or a reference; the checker refuses anything else. */
  readonly value: Expr
  readonly span: Span
}
/** `may remember exact | tool | args.to, … for 8h [at most 10 times]`: a grant that a reviewer may leave. */
export interface RememberNode {
  readonly scope: 'exact' | 'tool' | 'fields'
  /** Of `fields`: references. */
  readonly paths: readonly Expr[]
  readonly forMs: number
  /** Null means as often as wanted. */
  readonly atMost: number | null
  readonly span: Span
}

// ---------------------------------------------------------------- expressions

export type ReferenceRoot = 'args' | 'agent' | 'principal' | 'session' | 'context' | 'tool' | 'env' | 'now'
export type CompareOp = '==' | '!=' | '<' | '<=' | '>' | '>='
export type ArithmeticOp = '+' | '-' | '*' | '/'
/** Binary operators between a value and a list, a text or a place. `in` also takes an address range. */
export type RelationOp =
  | 'in'
  | 'not-in'
  | 'contains'
  | 'contains-any'
  | 'contains-all'
  | 'intersects'
  | 'subset'
  | 'starts-with'
  | 'ends-with'
  | 'like'
  | 'under'

export type Expr =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null; readonly span: Span }
  /** `5m`, `30d`, `1h30m`; milliseconds. */
  | { readonly kind: 'duration'; readonly ms: number; readonly span: Span }
  /** `2026-01-05` or `2026-01-05T10:00Z`; milliseconds since the epoch. */
  | { readonly kind: 'timestamp'; readonly ms: number; readonly span: Span }
  /** `10.0.0.0/8`, `192.0.2.1`, `fe80::/10`, as written. */
  | { readonly kind: 'cidr'; readonly text: string; readonly span: Span }
  /** Bare words inside brackets are strings: `[insert, update]` equals `["insert", "update"]`. */
  | { readonly kind: 'list-literal'; readonly items: readonly Expr[]; readonly span: Span }
  | {
      readonly kind: 'map-literal'
      readonly entries: readonly { readonly key: string; readonly value: Expr }[]
      readonly span: Span
    }
  /** `args.customer.id`; `now` and `env` have an empty path. */
  | { readonly kind: 'reference'; readonly root: ReferenceRoot; readonly path: readonly string[]; readonly span: Span }
  /** A named list, a quantifier's variable or a template's parameter. */
  | { readonly kind: 'name'; readonly name: string; readonly span: Span }
  | { readonly kind: 'field'; readonly of: Expr; readonly field: string; readonly span: Span }
  | { readonly kind: 'index'; readonly of: Expr; readonly index: Expr; readonly span: Span }
  | { readonly kind: 'call'; readonly fn: string; readonly args: readonly Expr[]; readonly span: Span }
  | { readonly kind: 'not'; readonly operand: Expr; readonly span: Span }
  | { readonly kind: 'negate'; readonly operand: Expr; readonly span: Span }
  /** Two or more operands; nested ands are flat. */
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Expr[]; readonly span: Span }
  | {
      readonly kind: 'arithmetic'
      readonly op: ArithmeticOp
      readonly left: Expr
      readonly right: Expr
      readonly span: Span
    }
  | { readonly kind: 'compare'; readonly op: CompareOp; readonly left: Expr; readonly right: Expr; readonly span: Span }
  | {
      readonly kind: 'relation'
      readonly op: RelationOp
      readonly left: Expr
      readonly right: Expr
      readonly span: Span
    }
  /** `matches /re/i`: `flags` out of `i` and `s`. */
  | {
      readonly kind: 'matches'
      readonly subject: Expr
      readonly pattern: string
      readonly flags: string
      readonly span: Span
    }
  | { readonly kind: 'exists'; readonly operand: Expr; readonly span: Span }
  | {
      readonly kind: 'quantifier'
      readonly quantifier: 'any' | 'all'
      readonly variable: Identifier
      readonly over: Expr
      readonly body: Expr
      readonly span: Span
    }
  /** `now in 09:00..17:00 "America/New_York" on mon..fri`. */
  | TimeWindow

/**
 * Minutes since local midnight: `fromMinute` inclusive, `untilMinute` exclusive (0 to 1440). A window whose end is not
 * after its start crosses midnight and belongs to the day it began. `days` counts 0 = Sunday; null means every day.
 */
export interface TimeWindow {
  readonly kind: 'time-window'
  readonly subject: Expr
  readonly fromMinute: number
  readonly untilMinute: number
  /** IANA name; `UTC` when left out. */
  readonly zone: string
  readonly days: readonly number[] | null
  readonly span: Span
}

// ---------------------------------------------------------------- tests in the language

/** `test "…" { given …  expect … }`: every `given` is one call, the last one is judged. */
export interface TestCase {
  readonly kind: 'test'
  readonly name: string
  readonly given: readonly GivenCall[]
  readonly expect: Expectation
  readonly span: Span
}
export interface GivenCall {
  readonly tool: string
  readonly env: string | null
  readonly agent: string | null
  readonly agentLabels: Expr | null
  readonly principal: string | null
  readonly principalLabels: Expr | null
  readonly session: string | null
  readonly tenant: string | null
  /** `map-literal` of constants, or null for no arguments. */
  readonly args: Expr | null
  readonly context: Expr | null
  /** The clock, in milliseconds since the epoch; null means 2026-01-05T12:00Z, a Monday. */
  readonly atMs: number | null
  readonly span: Span
}
export interface Expectation {
  readonly outcome: 'ALLOW' | 'DENY' | 'REQUIRE_APPROVAL'
  /** Roles of `expect require approval from A and B`; every one must be asked for; empty means any. */
  readonly roles: readonly string[]
  /** Rule ids after `by`; every one must be among the deciding rules. `by default` is written as the id `default`. */
  readonly by: readonly string[]
  readonly span: Span
}

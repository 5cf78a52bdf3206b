import type { JsonObject, JsonValue } from '../../model/json.js'
import type { Outcome } from '../../model/outcome.js'
import { readDailyWindow } from './daily-window.js'
import type { ConversionProblem, JsonBundle, JsonCondition, JsonRule } from './json-bundle.js'
import { isName } from './name.js'

/** Who is asked when a rule requires approval and names nobody. */
const DEFAULT_ROLE = 'approver'

const ID = /^[A-Za-z_][A-Za-z0-9_]*$/
const OUTCOMES: readonly string[] = ['ALLOW', 'DENY', 'REQUIRE_APPROVAL']

/**
 * Reads a bundle strictly: whatever it says that the converted policy could not say is a problem with its place, never
 * dropped, since a condition that goes missing widens what a rule allows. Reports every problem at once.
 */
export function readBundle(
  json: JsonValue,
): { readonly bundle: JsonBundle } | { readonly problems: readonly ConversionProblem[] } {
  const reader = new Reader()
  const bundle = reader.bundle(json)
  return reader.problems.length > 0 ? { problems: reader.problems } : { bundle }
}

class Reader {
  readonly problems: ConversionProblem[] = []

  bundle(json: JsonValue): JsonBundle {
    const root = this.object(json, '$', ['rules', 'defaults'])
    const rules = this.list(root['rules'], '$.rules').map((rule, i) => this.rule(rule, `$.rules[${i}]`))
    const seen = new Set<string>()
    rules.forEach((rule, i) => {
      if (seen.has(rule.id)) this.problem(`$.rules[${i}].id`, `another rule is called \`${rule.id}\` too`)
      seen.add(rule.id)
    })
    const defaults =
      root['defaults'] === undefined ? {} : this.object(root['defaults'], '$.defaults', ['outcome', 'approver_role'])
    const defaultOutcome =
      defaults['outcome'] === undefined ? 'DENY' : this.outcome(defaults['outcome'], '$.defaults.outcome')
    const defaultRole = this.approver(defaults, '$.defaults', defaultOutcome)
    return { rules, defaultOutcome, defaultRole }
  }

  private rule(json: JsonValue, path: string): JsonRule {
    const rule = this.object(json, path, [
      'id',
      'description',
      'match',
      'when',
      'outcome',
      'approver_role',
      'exceptions',
    ])
    const id = this.text(rule['id'], `${path}.id`)
    if (id !== '' && !isName(id))
      this.problem(`${path}.id`, 'is no name: letters, digits, `_` and inner `-`, and no word of the language')
    const description =
      rule['description'] === undefined ? '' : this.text(rule['description'], `${path}.description`, true)
    const match =
      rule['match'] === undefined ? {} : this.object(rule['match'], `${path}.match`, ['tool_name', 'environment'])
    const outcome = this.outcome(rule['outcome'], `${path}.outcome`)
    const when = rule['when'] === undefined ? {} : this.object(rule['when'], `${path}.when`, Object.keys(CONDITIONS))
    const conditions = Object.entries(when).flatMap(([key, value]) => {
      const read = CONDITIONS[key]
      const condition = read === undefined ? null : read(this, value, `${path}.when.${key}`)
      return condition === null ? [] : [condition]
    })
    return {
      id,
      description,
      toolName: this.pattern(match['tool_name'], `${path}.match.tool_name`),
      environment: this.pattern(match['environment'], `${path}.match.environment`),
      conditions,
      outcome,
      role: rule['exceptions'] === undefined ? this.approver(rule, path, outcome) : this.exception(rule, path, outcome),
    }
  }

  private approver(of: JsonObject, path: string, outcome: Outcome): string {
    const given = of['approver_role']
    if (outcome === 'REQUIRE_APPROVAL')
      return given === undefined ? DEFAULT_ROLE : this.role(given, `${path}.approver_role`)
    if (given !== undefined) this.problem(`${path}.approver_role`, `means nothing beside the outcome ${outcome}`)
    return ''
  }

  private exception(rule: JsonObject, path: string, outcome: Outcome): string {
    const exceptions = this.object(rule['exceptions']!, `${path}.exceptions`, ['approver_role'])
    if (outcome !== 'DENY') this.problem(`${path}.exceptions`, `means nothing beside the outcome ${outcome}`)
    if (rule['approver_role'] !== undefined)
      this.problem(`${path}.approver_role`, 'stands beside `exceptions`; one of them must go')
    return this.role(exceptions['approver_role'], `${path}.exceptions.approver_role`)
  }

  private outcome(json: JsonValue | undefined, path: string): Outcome {
    if (typeof json === 'string' && OUTCOMES.includes(json)) return json as Outcome
    this.problem(path, `must be ALLOW, DENY or REQUIRE_APPROVAL${json === undefined ? ', and is missing' : ''}`)
    return 'DENY'
  }

  private role(json: JsonValue | undefined, path: string): string {
    return this.text(json, path)
  }

  private pattern(json: JsonValue | undefined, path: string): string {
    return json === undefined ? '*' : this.text(json, path)
  }

  number(json: JsonValue, path: string): number {
    if (typeof json === 'number' && Math.abs(json) <= Number.MAX_SAFE_INTEGER) return json
    this.problem(path, `must be a number${typeof json === 'bigint' || typeof json === 'number' ? ' below 2^53' : ''}`)
    return 0
  }

  text(json: JsonValue | undefined, path: string, mayBeEmpty = false): string {
    if (typeof json === 'string' && (mayBeEmpty || json !== '')) return json
    this.problem(path, json === undefined ? 'is missing' : 'must be a text that is not empty')
    return ''
  }

  texts(json: JsonValue, path: string): readonly string[] {
    const list = this.list(json, path)
    if (list.length === 0 && Array.isArray(json)) this.problem(path, 'is empty, so the rule could never match')
    return list.map((item, i) => this.text(item, `${path}[${i}]`))
  }

  private list(json: JsonValue | undefined, path: string): readonly JsonValue[] {
    if (Array.isArray(json)) return json
    this.problem(path, json === undefined ? 'is missing' : 'must be a list')
    return []
  }

  private object(json: JsonValue, path: string, known: readonly string[]): JsonObject {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      this.problem(path, 'must be an object')
      return {}
    }
    for (const key of Object.keys(json)) {
      if (!known.includes(key)) {
        this.problem(
          `${path}${step(key)}`,
          `is not known to the converter; here it knows ${known.map((k) => `\`${k}\``).join(', ')}`,
        )
      }
    }
    return json as JsonObject
  }

  problem(path: string, message: string): void {
    this.problems.push({ path, message })
  }
}

/** One entry a condition that a bundle may hold: what it reads from the JSON value. */
const CONDITIONS: Readonly<Record<string, (reader: Reader, json: JsonValue, path: string) => JsonCondition | null>> = {
  amount_greater_than: (reader, json, path) => ({ kind: 'amount_greater_than', than: reader.number(json, path) }),
  recipient_count_greater_than: (reader, json, path) => ({
    kind: 'recipient_count_greater_than',
    than: reader.number(json, path),
  }),
  contains_any: (reader, json, path) => ({ kind: 'contains_any', texts: reader.texts(json, path) }),
  table_contains_any: (reader, json, path) => ({ kind: 'table_contains_any', texts: reader.texts(json, path) }),
  recipient_domain_not_in(reader, json, path) {
    const entries = reader.texts(json, path)
    const lists = entries.filter((entry) => !entry.includes('.'))
    for (const list of lists) {
      if (list !== '' && !isName(list)) reader.problem(path, `\`${list}\` is neither a domain nor the name of a list`)
    }
    return { kind: 'recipient_domain_not_in', domains: entries.filter((entry) => entry.includes('.')), lists }
  },
  time_outside(reader, json, path) {
    const text = reader.text(json, path)
    const window = readDailyWindow(text)
    if (typeof window !== 'string') return { kind: 'time_outside', window, text }
    if (text !== '') reader.problem(path, `\`${text}\` ${window}`)
    return null
  },
}

function step(key: string): string {
  return ID.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

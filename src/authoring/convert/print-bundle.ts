import { assertNever } from '../../model/assert-never.js'
import type { JsonBundle, JsonCondition, JsonRule } from './json-bundle.js'
import { isName } from './name.js'
import { sharperForm } from './sharper.js'

export interface PrintOptions {
  /** Name of the policy. */
  readonly name: string
  /** Files that hold the lists which `recipient_domain_not_in` names, by list name; paths relative to the policy folder. */
  readonly lists: ReadonlyMap<string, string>
}

/** The policy that decides as the bundle does. */
export function printBundle(bundle: JsonBundle, options: PrintOptions): string {
  const blocks = [header(bundle, options), ...lists(bundle, options), ...bundle.rules.map(printRule)]
  return `${blocks.join('\n\n')}\n`
}

function header(bundle: JsonBundle, options: PrintOptions): string {
  const effects = {
    ALLOW: 'allow',
    DENY: 'deny',
    REQUIRE_APPROVAL: `require approval from ${role(bundle.defaultRole)}`,
  }
  return `policy ${options.name}\ndefault ${effects[bundle.defaultOutcome]}`
}

/** The lists that rules name, each once, in the order of their first use. */
export function namedLists(bundle: JsonBundle): readonly string[] {
  const names = bundle.rules.flatMap((rule) =>
    rule.conditions.flatMap((condition) => (condition.kind === 'recipient_domain_not_in' ? condition.lists : [])),
  )
  return [...new Set(names)]
}

function lists(bundle: JsonBundle, options: PrintOptions): string[] {
  return namedLists(bundle).map((name) => {
    const file = options.lists.get(name)
    if (file !== undefined) return `list ${name} from ${JSON.stringify(file)}`
    return `# The bundle names this list and holds nothing of it: every domain is refused until it is filled.\nlist ${name} = []`
  })
}

function printRule(rule: JsonRule): string {
  const lines = [`rule ${rule.id}${rule.description === '' ? '' : ` ${JSON.stringify(rule.description)}`} {`]
  const scope = [term('tool', rule.toolName), term('env', rule.environment)].filter((text) => text !== '')
  if (scope.length > 0) lines.push(`  on   ${scope.join(', ')}`)
  const sharper = sharperForm(rule)
  if (sharper !== null) lines.push(`  # sharper: when ${sharper}`)
  if (rule.conditions.length > 0)
    lines.push(`  when ${rule.conditions.map((c) => conjunct(c, rule.conditions.length)).join(' and ')}`)
  lines.push(`  ${effect(rule)}`, '}')
  return lines.join('\n')
}

function term(on: 'tool' | 'env', pattern: string): string {
  if (pattern === '*') return ''
  if (pattern.includes('*')) return `${on} like ${JSON.stringify(pattern)}`
  return `${on} ${isDottedName(pattern) ? pattern : JSON.stringify(pattern)}`
}

function isDottedName(text: string): boolean {
  return text.split('.').every((part) => isName(part))
}

function effect(rule: JsonRule): string {
  switch (rule.outcome) {
    case 'ALLOW':
      return 'allow'
    case 'DENY':
      return rule.role === '' ? 'deny' : `deny except approval from ${role(rule.role)}`
    case 'REQUIRE_APPROVAL':
      return `require approval from ${role(rule.role)}`
    default:
      return assertNever(rule.outcome)
  }
}

function role(name: string): string {
  return isName(name) ? name : JSON.stringify(name)
}

function conjunct(condition: JsonCondition, of: number): string {
  const text = expression(condition)
  return of > 1 && text.startsWith('any ') ? `(${text})` : text
}

function expression(condition: JsonCondition): string {
  switch (condition.kind) {
    case 'amount_greater_than':
      return `args.amount > ${condition.than}`
    case 'recipient_count_greater_than':
      return `count(recipients(args)) > ${condition.than}`
    case 'contains_any':
      return `any s in strings(args): lower(s) contains any of [${condition.texts.map((t) => JSON.stringify(t.toLowerCase())).join(', ')}]`
    case 'table_contains_any':
      return `any s in strings(args): s matches /(^|[^a-z0-9_])(${condition.texts.map(escapeRegex).join('|')})($|[^a-z0-9_])/i`
    case 'recipient_domain_not_in':
      return `any r in recipients(args): ${notIn(condition.domains, condition.lists)}`
    case 'time_outside': {
      const { fromMinute, untilMinute, zone } = condition.window
      return `not (now in ${clock(fromMinute)}..${clock(untilMinute)} ${JSON.stringify(zone)})`
    }
    default:
      return assertNever(condition)
  }
}

function notIn(domains: readonly string[], lists: readonly string[]): string {
  const sets = [...lists]
  if (domains.length > 0) sets.push(`[${domains.map((domain) => JSON.stringify(domain.toLowerCase())).join(', ')}]`)
  return sets.map((set) => `domain(r) not in ${set}`).join(' and ')
}

function clock(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

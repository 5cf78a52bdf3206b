/**
 * Decides a JSON bundle directly, written from the roadmap's meaning and sharing nothing with the converter: the converted
 * policy must agree with it. A value that is missing or of another kind restricts (`undefined` below is "cannot tell").
 */
export interface Bundle {
  readonly rules: readonly BundleRule[]
  readonly defaults?: { readonly outcome: string }
}
interface BundleRule {
  readonly match: { readonly tool_name: string; readonly environment: string }
  readonly when?: Readonly<Record<string, unknown>>
  readonly outcome: string
  readonly exceptions?: unknown
}
export interface BundleCall {
  readonly tool: string
  readonly environment: string
  readonly args: Readonly<Record<string, unknown>>
  readonly nowMs: number
}
type Truth = boolean | undefined

const STRICTNESS = ['ALLOW', 'REQUIRE_APPROVAL', 'DENY']

export function decideBundle(
  bundle: Bundle,
  call: BundleCall,
  lists: Readonly<Record<string, readonly string[]>>,
): string {
  const matched = bundle.rules.filter((rule) => {
    if (!fits(rule.match.tool_name, call.tool) || !fits(rule.match.environment, call.environment)) return false
    const truths = Object.entries(rule.when ?? {}).map(([key, value]) => holds(key, value, call, lists))
    if (truths.includes(false)) return false
    return truths.includes(undefined) ? rule.outcome !== 'ALLOW' : true
  })
  const outcomes = matched.map((rule) => (rule.exceptions === undefined ? rule.outcome : 'REQUIRE_APPROVAL'))
  if (outcomes.length === 0) return bundle.defaults?.outcome ?? 'DENY'
  return outcomes.reduce((a, b) => (STRICTNESS.indexOf(a) >= STRICTNESS.indexOf(b) ? a : b))
}

function fits(pattern: string, name: string): boolean {
  return pattern === '*' || pattern === name
}

function holds(
  key: string,
  value: unknown,
  call: BundleCall,
  lists: Readonly<Record<string, readonly string[]>>,
): Truth {
  switch (key) {
    case 'amount_greater_than': {
      const amount = call.args['amount']
      return typeof amount === 'number' ? amount > Number(value) : undefined
    }
    case 'contains_any': {
      const wanted = (value as string[]).map((text) => text.toLowerCase())
      return texts(call.args).some((text) => wanted.some((word) => text.toLowerCase().includes(word)))
    }
    case 'table_contains_any': {
      const wanted = (value as string[]).map((text) => text.toLowerCase())
      return texts(call.args).some((text) =>
        text
          .toLowerCase()
          .split(/[^a-z0-9_]/)
          .some((word) => wanted.includes(word)),
      )
    }
    case 'recipient_count_greater_than': {
      const who = recipients(call.args)
      return who === undefined ? undefined : who.length > Number(value)
    }
    case 'recipient_domain_not_in': {
      const known = (value as string[]).flatMap((name) => lists[name] ?? [name])
      const who = recipients(call.args)
      if (who === undefined) return undefined
      const outside = who.map((one): Truth => {
        const domain = /^[^@\s<>]+@([a-z0-9.-]+)$|^[^<>@]*<[^@\s<>]+@([a-z0-9.-]+)>$/i.exec(one)
        return domain === null ? undefined : !known.includes((domain[1] ?? domain[2])!.toLowerCase())
      })
      return outside.includes(true) || (outside.includes(undefined) ? undefined : false)
    }
    case 'time_outside': {
      if (value !== '9am-5pm EST') throw new Error(`the evaluator does not know ${String(value)}`)
      const hour = new Intl.DateTimeFormat('en', {
        timeZone: 'America/New_York',
        hour: 'numeric',
        hourCycle: 'h23',
      }).format(call.nowMs)
      return Number(hour) < 9 || Number(hour) >= 17
    }
    default:
      throw new Error(`the evaluator does not know ${key}`)
  }
}

function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : []
}

function recipients(args: Readonly<Record<string, unknown>>): string[] | undefined {
  const given = ['to', 'recipient', 'recipients', 'cc', 'bcc']
    .map((key) => args[key] ?? null)
    .filter((value) => value !== null)
  const all = given.flat()
  if (given.length === 0 || !all.every((one) => typeof one === 'string')) return undefined
  return all.flatMap((one) => one.split(/[,;]/).map((part) => part.trim()))
}

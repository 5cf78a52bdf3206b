import type { SourceBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { Draw } from '../../test/engine/generate.js'
import { callOf, sourcesOf, type Workload } from './workload.js'

const RULES_PER_TOOL = 10
const ENVIRONMENTS = ['prod', 'staging', 'dev']
const TEAMS = ['billing', 'support', 'data', 'growth']
const VERBS = ['read', 'write', 'list', 'delete', 'send']
const WORDS = ['users', 'cards', 'orders', 'ssn', 'invoice', 'refund', 'export', 'token', 'secret', 'draft']

/**
 * Synthetic policies of a company with many tools: ten rules a tool on average. Tools are named exactly in 65 % of the
 * rules, in sets of four in 10 %, by `area.thing.*` in 19 %, by broader globs in the rest; half of the rules name an
 * environment, 30 % a team; each has up to three conditions, out of about 360 different ones.
 */
export class FleetOfTools implements Workload {
  readonly tools: readonly string[]

  constructor(
    private readonly draw: Draw,
    private readonly rules: number,
  ) {
    const count = Math.max(1, Math.round(rules / RULES_PER_TOOL))
    this.tools = Array.from({ length: count }, (_, i) => `area${i % 97}.thing${Math.floor(i / 5)}.${VERBS[i % 5]}`)
  }

  sources(): SourceBundle {
    return sourcesOf(this.rules, (number) => this.#rule(number))
  }

  /** Tools are called with a skew, as in life: the tenth most used gets a tenth of the most used one's calls. */
  call(): Call {
    const rank = Math.floor(this.tools.length ** (this.draw.int(1_000_000) / 1_000_000)) - 1
    const agent = {
      id: `agent-${this.draw.int(50)}`,
      labels: { team: this.#pick(TEAMS), tier: 'gold', region: 'eu' },
    }
    const tool = this.tools[Math.min(rank, this.tools.length - 1)]!
    return callOf(agent, tool, this.#pick(ENVIRONMENTS), {
      amount: this.draw.int(1_000),
      count: this.draw.int(40),
      text: `${this.#pick(WORDS)} ${this.#pick(WORDS)} please`,
      kind: `kind${this.draw.int(20)}`,
      urgent: this.draw.int(2) === 0,
      list: [this.#pick(WORDS), this.#pick(WORDS)],
    })
  }

  #rule(number: number): string {
    const conditions = this.#conditions().map((condition) => `  when ${condition}\n`)
    return `rule R${number} "a synthetic rule" {\n  on ${this.#scope()}\n${conditions.join('')}  ${this.#effect()}\n}\n`
  }

  #scope(): string {
    const terms = [`tool ${this.#toolPattern()}`]
    if (this.draw.int(2) === 0) terms.push(`env ${this.#pick(ENVIRONMENTS)}`)
    if (this.draw.int(10) < 3) terms.push(`agent team = ${this.#pick(TEAMS)}`)
    return terms.join(', ')
  }

  #toolPattern(): string {
    const kind = this.draw.int(1_000)
    const tool = () => this.#pick(this.tools)
    if (kind < 650) return tool()
    if (kind < 750) return `[${[tool(), tool(), tool(), tool()].join(', ')}]`
    const [area, thing] = tool().split('.')
    return kind < 940 ? `${area}.${thing}.*` : `${area}.*${this.draw.int(1_000)}.*`
  }

  /** Up to three, each about another argument. */
  #conditions(): string[] {
    const kinds = new Set(Array.from({ length: this.draw.int(4) }, () => Math.max(1, this.draw.int(6))))
    return [...kinds].map((kind) => this.#condition(kind))
  }

  #condition(kind: number): string {
    switch (kind) {
      case 1:
        return `args.amount ${this.#pick(['>', '<', '>='])} ${this.draw.int(40) * 25}`
      case 2:
        return `args.count > ${this.draw.int(40)}`
      case 3:
        return `args.kind in [${this.#few((i) => `kind${i % 20}`)}]`
      case 4:
        return `args.text contains any of [${this.#few((i) => WORDS[i % WORDS.length]!)}]`
      default:
        return `args.urgent == ${this.draw.int(2) === 0}`
    }
  }

  /** One of a hundred lists of three, as companies have lists that many rules share. */
  #few(item: (i: number) => string): string {
    const start = this.draw.int(100)
    return [start, start * 3 + 1, start * 7 + 2].map(item).join(', ')
  }

  #effect(): string {
    return this.#pick(['deny "not here"', 'require approval from manager', 'allow'])
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.draw.int(items.length)]!
  }
}

/** The lowest limit. One call of a thousand is over a few of them. */
const RARE_FROM = 1_000_000

/**
 * One tool, and as many rules as asked for that deny it above a limit of their own. Nearly every amount is under all limits,
 * so that a decision should cost the same however many rules there are.
 */
export class RareLimits implements Workload {
  readonly tools = ['pay']

  constructor(
    private readonly draw: Draw,
    private readonly rules: number,
  ) {}

  sources(): SourceBundle {
    return sourcesOf(
      this.rules,
      (number) => `rule R${number} {\n  on tool pay\n  when args.amount > ${RARE_FROM + number}\n  deny\n}\n`,
    )
  }

  call(): Call {
    const amount = this.draw.int(1_000) === 0 ? RARE_FROM + this.draw.int(10) : this.draw.int(RARE_FROM)
    return callOf({ id: 'agent-1', labels: {} }, 'pay', 'prod', { amount })
  }
}

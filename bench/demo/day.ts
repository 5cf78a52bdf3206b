import type { JsonObject } from '../../src/model/json.js'
import type { Outcome } from '../../src/model/outcome.js'
import { Random } from './random.js'

export type Incident = 'delete-my-data' | 'injected-sql' | 'mass-mailing'

/** A call of the demo, with the answer that the roadmap's scenarios expect of it. */
export interface DemoCall {
  readonly scenario: 'support' | 'analytics' | 'marketing'
  readonly agent: string
  readonly principal: string
  readonly session: string
  readonly tool: string
  readonly args: JsonObject
  /** Milliseconds since the epoch, within business hours of New York; for replays that set the clock. */
  readonly atMs: number
  readonly expect: Outcome
  /** Set on the incidents that the demo tells. */
  readonly incident?: Incident
}

/** Monday 5 January 2026, 09:00 in New York. */
const OPENING = Date.UTC(2026, 0, 5, 14)
const EIGHT_HOURS = 8 * 3_600_000

type Draft = Pick<DemoCall, 'agent' | 'tool' | 'args' | 'expect'> & { readonly incident?: Incident }

/** 500 tickets of support (485 allowed, 12 approvals, 3 blocked), 200 queries (190, 2, 8), 80 acts of marketing (71, 4, 5). */
export function demoDay(seed = 20_260_105): readonly DemoCall[] {
  const random = new Random(seed)
  return [...supportDay(random), ...analyticsDay(random), ...marketingDay(random)].sort((a, b) => a.atMs - b.atMs)
}

function supportDay(random: Random): DemoCall[] {
  const agent = (): string => `support-agent-${random.int(1, 4)}`
  const customer = (): string => String(random.int(10_000, 99_999))
  const order = (): string => `A${random.int(1_000, 9_999)}`
  const routine: readonly (() => Pick<Draft, 'tool' | 'args'>)[] = [
    () => ({ tool: 'get_customer', args: { customer_id: customer() } }),
    () => ({ tool: 'get_order', args: { order_id: order() } }),
    () => ({ tool: 'get_order', args: { order_id: order() } }),
    () => ({
      tool: 'create_ticket',
      args: { customer_id: customer(), subject: 'Late parcel', body: 'Where is my order?' },
    }),
    () => ({ tool: 'reply_to_ticket', args: { ticket_id: `T${random.int(1, 500)}`, body: 'It is on its way.' } }),
    () => ({ tool: 'update_order_status', args: { order_id: order(), status: random.pick(['shipped', 'returned']) } }),
    () => ({ tool: 'issue_refund', args: { order_id: order(), amount: random.int(500, 10_000) / 100 } }),
  ]
  const drafts: Draft[] = [
    ...times(485, () => ({ agent: agent(), ...random.pick(routine)(), expect: 'ALLOW' as const })),
    ...times(9, () => ({
      agent: agent(),
      tool: 'issue_refund',
      args: { order_id: order(), amount: random.int(10_001, 50_000) / 100 },
      expect: 'REQUIRE_APPROVAL' as const,
    })),
    ...times(3, () => ({
      agent: agent(),
      tool: 'update_customer_account',
      args: { customer_id: customer(), changes: { email: 'new@mail.example' } },
      expect: 'REQUIRE_APPROVAL' as const,
    })),
    {
      agent: 'support-agent-2',
      tool: 'delete_customer',
      args: { customer_id: '12345' },
      expect: 'DENY',
      incident: 'delete-my-data',
    },
    ...times(2, () => ({
      agent: 'support-agent-legacy',
      tool: 'export_customers',
      args: { segment: 'all', limit: 50_000 },
      expect: 'DENY' as const,
    })),
  ]
  return schedule(random, 'support', 'T', drafts)
}

function analyticsDay(random: Random): DemoCall[] {
  const agent = (): string => `analytics-bot-${random.int(1, 2)}`
  const query = (by: string, sql: string, expect: Outcome, incident?: Incident): Draft => ({
    agent: by,
    tool: 'query_database',
    args: { sql },
    expect,
    ...(incident === undefined ? {} : { incident }),
  })
  const questions: readonly (() => string)[] = [
    () =>
      `SELECT date_trunc('${random.pick(['day', 'week', 'month'])}', created_at) AS period, sum(total) FROM orders GROUP BY 1 ORDER BY 1`,
    () =>
      `SELECT region, count(*) FROM orders WHERE created_at > now() - interval '${random.int(7, 90)} days' GROUP BY region`,
    () => `SELECT product_id, avg(rating) FROM reviews GROUP BY product_id ORDER BY 2 DESC LIMIT ${random.int(5, 100)}`,
    () =>
      `SELECT plan, sum(mrr) FROM subscriptions WHERE updated_at >= '2025-${String(random.int(1, 12)).padStart(2, '0')}-01' GROUP BY plan`,
    () =>
      `SELECT p.category, sum(i.quantity) FROM order_items i JOIN products p ON p.id = i.product_id GROUP BY p.category`,
  ]
  const drafts: Draft[] = [
    ...times(190, () => query(agent(), random.pick(questions)(), 'ALLOW')),
    query('analytics-bot-3', 'SELECT * FROM users; DROP TABLE orders; --', 'DENY', 'injected-sql'),
    query('analytics-bot-3', 'SELECT * FROM credit_cards', 'DENY'),
    query('analytics-bot-3', 'SELECT u.*, c.number FROM users u JOIN credit_cards c ON c.user_id = u.id', 'DENY'),
    query('analytics-bot-3', 'SELECT * FROM orders', 'DENY'),
    query('analytics-bot-1', 'SELECT id, total, created_at FROM orders LIMIT 250000', 'DENY'),
    query('analytics-bot-2', 'SELECT * FROM subscriptions', 'DENY'),
    query('analytics-bot-1', "COPY orders TO '/tmp/orders.csv'", 'DENY'),
    query('analytics-bot-2', "UPDATE subscriptions SET plan = 'free' WHERE id = 7", 'DENY'),
    query('analytics-bot-1', 'SELECT plan, count(id) FROM users GROUP BY plan', 'REQUIRE_APPROVAL'),
    query('analytics-bot-2', 'SELECT country, count(id) FROM users GROUP BY country', 'REQUIRE_APPROVAL'),
  ]
  return schedule(random, 'analytics', 'Q', drafts)
}

function marketingDay(random: Random): DemoCall[] {
  const domains = ['acme.example', 'globex.example', 'initech.example', 'umbrella.example', 'hooli.example']
  const addresses = (count: number): string[] => times(count, (i) => `user${i + 1}@${random.pick(domains)}`)
  const mail = (to: string[], expect: Outcome, incident?: Incident): Draft => ({
    agent: random.pick(['marketing-bot', 'marketing-bot-2']),
    tool: 'send_email',
    args: { to, subject: 'What is new in January', body: 'Hello! …' },
    expect,
    ...(incident === undefined ? {} : { incident }),
  })
  const desk: readonly (() => Pick<Draft, 'tool' | 'args'>)[] = [
    () => ({
      tool: 'draft_campaign',
      args: { name: `spring-${random.int(1, 99)}`, subject: 'Spring', body: 'Hello!' },
    }),
    () => ({
      tool: 'schedule_post',
      args: { network: 'linkedin', text: 'We are hiring', publish_at: '2026-01-06T09:00Z' },
    }),
    () => ({
      tool: 'update_campaign_metrics',
      args: { campaign_id: `C${random.int(1, 40)}`, metrics: { opens: random.int(1, 900) } },
    }),
    () => ({ tool: 'create_ab_test', args: { campaign_id: `C${random.int(1, 40)}`, variants: ['A', 'B'] } }),
  ]
  const drafts: Draft[] = [
    ...times(41, () => ({ agent: 'marketing-bot', ...random.pick(desk)(), expect: 'ALLOW' as const })),
    // At most ten recipients: the demo's server decides by its own clock, and more would wait for a person at night.
    ...times(30, () => mail(addresses(random.int(1, 10)), 'ALLOW')),
    ...times(3, () => mail(addresses(random.int(101, 400)), 'REQUIRE_APPROVAL')),
    mail(addresses(5_000), 'REQUIRE_APPROVAL', 'mass-mailing'),
    ...times(4, (i) => mail([...addresses(3), `lead${i}@${random.pick(['gmail.example', 'rival.example'])}`], 'DENY')),
    { agent: 'marketing-bot-2', tool: 'query_database', args: { sql: 'SELECT email FROM users' }, expect: 'DENY' },
  ]
  return schedule(random, 'marketing', 'M', drafts)
}

/** Spreads the drafts over the day, in a random order. */
function schedule(
  random: Random,
  scenario: DemoCall['scenario'],
  prefix: string,
  drafts: readonly Draft[],
): DemoCall[] {
  return random.shuffle(drafts).map((draft, i) => ({
    scenario,
    principal: `${scenario}-desk`,
    session: `${prefix}${i + 1}`,
    atMs: OPENING + Math.floor(((i + random.next()) * EIGHT_HOURS) / drafts.length),
    ...draft,
  }))
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}

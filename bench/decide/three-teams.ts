import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { SourceBundle } from '../../src/language/checked.js'
import type { Call } from '../../src/model/call.js'
import type { JsonObject } from '../../src/model/json.js'
import type { Draw } from '../../test/engine/generate.js'
import { ROOT } from '../support/root.js'
import { callOf, type Workload } from '../support/workload.js'

const FOLDER = path.join(ROOT, 'bench', 'decide', 'policies')
const ENVIRONMENTS = ['prod', 'staging', 'dev']
const TEAMS = ['shop', 'analytics', 'marketing'] as const
const COUNTRIES = ['de', 'fr', 'us', 'jp', 'kp', 'cu', 'br', 'in']
const TABLES = ['orders', 'products', 'users', 'credit_cards', 'payroll', 'audit', 'visits']
const SUBJECTS = ['spring news', 'a guaranteed win', 'new shoes', 'no cost returns', 'our winter sale']
const RECEIPTS = ['thanks for your order', 'send us your password', 'pay by gift card', 'your parcel is on its way']
const DOMAINS = ['example.com', 'example.org', 'mailinator.example', 'trash.example']

type Arguments = (draw: Draw) => JsonObject

const id = (draw: Draw) => `id-${draw.int(100_000)}`
const pick = <T>(draw: Draw, items: readonly T[]): T => items[draw.int(items.length)]!
const pickTwo = (draw: Draw, items: readonly string[]) => [pick(draw, items), pick(draw, items)]

/** The tools of each team, and what they are called with. */
const TOOLS: Readonly<Record<(typeof TEAMS)[number], Readonly<Record<string, Arguments>>>> = {
  shop: {
    lookup_order: (draw) => ({ order_id: id(draw) }),
    issue_refund: (draw) => ({
      order_id: id(draw),
      amount: pick(draw, [draw.int(100), draw.int(1_000), draw.int(10_000)]),
      currency: pick(draw, ['usd', 'eur', 'gbp', 'btc']),
    }),
    update_address: (draw) => ({ customer_id: id(draw), country: pick(draw, COUNTRIES), verified: draw.int(3) > 0 }),
    send_receipt: (draw) => ({ order_id: id(draw), text: `${pick(draw, RECEIPTS)}, ${id(draw)}` }),
    delete_customer: (draw) => ({ customer_id: id(draw) }),
  },
  analytics: {
    query_database: (draw) => ({
      statement: pick(draw, ['select', 'select', 'select', 'explain', 'update', 'drop']),
      tables: pickTwo(draw, TABLES),
    }),
    export_results: (draw) => ({ format: pick(draw, ['csv', 'xlsx', 'json']), rows: draw.int(2_000) }),
  },
  marketing: {
    'campaign.draft': (draw) => ({ subject: pick(draw, SUBJECTS) }),
    'campaign.send': (draw) => ({
      subject: pick(draw, SUBJECTS),
      recipients: pick(draw, [draw.int(20), draw.int(500)]),
      domains: pickTwo(draw, DOMAINS),
      urgent: draw.int(4) === 0,
    }),
    'campaign.schedule': (draw) => ({ subject: pick(draw, SUBJECTS), recipients: draw.int(500) }),
    'campaign.delete': (draw) => ({ campaign_id: id(draw) }),
  },
}

/** Twenty rules as people write them, of a shop, its analysts and its marketing; the policies lie beside this module. */
export class ThreeTeams implements Workload {
  readonly tools = TEAMS.flatMap((team) => Object.keys(TOOLS[team]))

  constructor(private readonly draw: Draw) {}

  sources(): SourceBundle {
    const files = readdirSync(FOLDER).sort()
    return {
      policies: new Map(files.map((file) => [file, readFileSync(path.join(FOLDER, file))])),
      attachments: new Map(),
    }
  }

  /** One agent of five calls a tool of another team. */
  call(): Call {
    const owner = pick(this.draw, TEAMS)
    const [tool, args] = pick(this.draw, Object.entries(TOOLS[owner]))
    const team = this.draw.int(5) === 0 ? pick(this.draw, TEAMS) : owner
    const agent = { id: `${team}-${this.draw.int(50)}`, labels: { team } }
    return callOf(agent, tool, pick(this.draw, ENVIRONMENTS), args(this.draw))
  }
}

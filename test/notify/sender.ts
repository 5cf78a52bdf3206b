// Works an outbox by one webhook channel until it is killed.
import { readNetwork } from '../../src/notify/addresses.js'
import { Breakers } from '../../src/notify/breaker.js'
import { Courier } from '../../src/notify/courier.js'
import { readWebhookSecret } from '../../src/notify/standard-webhooks.js'
import { WebhookChannel } from '../../src/notify/webhook.js'
import { Outbox } from '../../src/store/outbox/index.js'
import { openDatabase } from '../../src/store/pg-database.js'

const [databaseUrl = '', hook = '', secret = ''] = process.argv.slice(2)
const quiet = (): void => undefined
const channel = new WebhookChannel({
  url: new URL(hook),
  keys: [readWebhookSecret(secret)],
  allowed: [readNetwork('127.0.0.1')],
})
const breakers = new Breakers({ nowMs: Date.now })
const courier = new Courier({ name: 'hook', channel, kinds: ['*'], tenants: null, link: '', breakers })
const outbox = new Outbox({
  database: await openDatabase(databaseUrl, { poolSize: 3 }),
  channels: [courier],
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  pollMs: 50,
  leaseMs: 500,
  mostAtATime: 4,
})
outbox.start()
process.on('disconnect', () => process.exit(0))

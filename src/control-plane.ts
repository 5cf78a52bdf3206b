import { writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Desk } from './approvals/desk.js'
import { eventsOf, listApprovals } from './approvals/history.js'
import { endByKill, type Stops } from './approvals/killing.js'
import type { People } from './approvals/people.js'
import { ReceiptKeyStore, type ReceiptKeys } from './approvals/receipts/key-store.js'
import { BatchSigner } from './approvals/receipts/signer.js'
import { APPROVALS_CHANNEL } from './approvals/requests.js'
import { Reviews } from './approvals/reviews.js'
import { approvalStats } from './approvals/stats.js'
import { startTimers } from './approvals/timers.js'
import { Waiting } from './approvals/waiting.js'
import { auditFolders } from './audit/folders.js'
import { Masker, readOrMakeMaskKey } from './audit/mask.js'
import type { Config } from './config.js'
import { DEFAULT_TENANT, developmentIdentity } from './identity/development.js'
import { keyIdentity } from './identity/key-identity.js'
import { allKeys, KeyStore } from './identity/key-store.js'
import { Keyring } from './identity/keyring.js'
import { type Pepper, PepperError, readPepper } from './identity/pepper.js'
import type { KeyAdmin } from './model/api-key.js'
import type { ApprovalRequest } from './model/approval.js'
import type { Call } from './model/call.js'
import { type ApprovalDesk, type Control, NO_CONTROL, type ReceiptSigner } from './model/control.js'
import type { Decision } from './model/decision.js'
import type { DeadLetterDesk } from './model/delivery.js'
import type { Caller, Identity } from './model/identity.js'
import type { JsonObject } from './model/json.js'
import type { Log } from './model/log.js'
import { parseJson } from './model/parse-json.js'
import { openOutbox } from './open-outbox.js'
import type { Clock } from './pdp.js'
import { AutoKill, type AutoKillRule } from './state/auto-kill.js'
import { ControlState } from './state/control-state.js'
import { engagedNow, engagedSwitches, KillSwitchStore } from './state/kill-switch-store.js'
import { KillSwitches } from './state/kill-switches.js'
import type { ControlStore } from './store/control-store.js'
import type { Database } from './store/database.js'
import { every } from './store/every.js'
import { Listener } from './store/listener.js'
import { DeadLetters } from './store/outbox/index.js'
import type { ApprovalParts } from './transport/grpc/approval-service.js'

/** What a server knows beside its policies: who calls, what is stopped, who approves, and what it signs with. */
export interface ControlPlane {
  readonly identity: Identity
  readonly control: Control
  readonly approvals: ApprovalDesk | null
  readonly receipts: ReceiptSigner | null
  /** What the services of the control store work on; null without one. */
  readonly services: {
    readonly keys: KeyAdmin
    readonly killSwitches: KillSwitchStore
    readonly approvals: ApprovalParts
    readonly deadLetters: DeadLetterDesk
  } | null
  close(): Promise<void>
}

/** Of a server without a control store: loopback only, everybody is who they say, nothing stops and nobody is asked. */
const WITHOUT: ControlPlane = {
  identity: developmentIdentity,
  control: NO_CONTROL,
  approvals: null,
  receipts: null,
  services: null,
  close: async () => undefined,
}

const PEPPER_FILE = 'key-pepper'
const BOOTSTRAP_FILE = 'bootstrap-key'
const NOTE_USE_MS = 60_000

/**
 * Reads everything that a decision needs, and keeps it fresh.
 *
 * @param decideAnew by the live policies, for arguments that a reviewer changed
 * @throws {StoreUnavailable} a server must not begin on nothing
 * @throws {NotifyConfigError} when the file of channels is wrong
 * @throws {PepperError} when the pepper is not the one that the keys in the store were made with
 */
export async function openControlPlane(
  config: Config,
  store: ControlStore | null,
  dataFolder: string,
  log: Log,
  clock: Clock,
  decideAnew: (call: Call) => Decision,
): Promise<ControlPlane> {
  if (store === null) return WITHOUT
  const { database } = store
  const { nowMs } = clock
  const outbox = openOutbox(config, database, log, nowMs, process.env)
  const pepper = await findPepper(database, config.keyPepperFile ?? join(dataFolder, PEPPER_FILE))
  const used = new Set<string>()
  const noteUse = (keyId: string): void => {
    used.add(keyId)
  }
  let switches = KillSwitches.NONE
  let keyring = new Keyring([], pepper, noteUse)
  let receiptKeys: ReceiptKeys = { published: [], signing: null }
  // What fails here succeeds within a second, when everything is read again.
  const afterChange = (): Promise<void> => state.refresh().catch(() => undefined)
  const keys = new KeyStore(database, pepper, { afterChange })
  const receiptKeyStore = new ReceiptKeyStore(database, pepper)
  await receiptKeyStore.ensure()

  const state = new ControlState({
    database,
    instance: `${hostname()}:${process.pid}`,
    log,
    monotonicMs: () => clock.monotonicNs() / 1e6,
    parts: [
      engagedSwitches((engaged) => {
        switches = engaged
      }),
      allKeys(pepper, noteUse, (read) => {
        keyring = read
      }),
      receiptKeyStore.read((read) => {
        receiptKeys = read
      }),
    ],
  })
  await state.start()
  // One listener that others reach is enough: nobody may come in there without a key.
  const isOpen = config.listen.isLoopback && config.http?.isLoopback !== false
  if (!isOpen || !keyring.isEmpty) await offerBootstrap(keys, join(dataFolder, BOOTSTRAP_FILE), log)

  const people: People = {
    approversOf: (tenant) => keyring.approversOf(tenant, nowMs()),
    ownerOf: (tenant, agent) => keyring.ownerOf(tenant, agent, nowMs()),
  }
  // Until the first key is made nobody is known, and whoever votes is who they say.
  const known = (): People | null => (isOpen && keyring.isEmpty ? null : people)
  const masker = new Masker(readOrMakeMaskKey(auditFolders(dataFolder).audit))
  const mask = (args: JsonObject): JsonObject => parseJson(masker.arguments(args).json) as JsonObject
  const desk = new Desk({
    database,
    mask,
    stopping: async (sql, call) => (await engagedNow(sql, call.tenant)).stopping(call),
    get people() {
      return known()
    },
  })
  const reviews = new Reviews({
    database,
    mask,
    get people() {
      return known()
    },
    decideAnew: (request, args) => decideAnew(callOf(request, args)),
  })
  const waiting = new Waiting({ database, log })
  const listener = new Listener({
    database,
    channels: [APPROVALS_CHANNEL],
    onResync: () => waiting.reread(),
    onNotification: (_channel, id) => {
      waiting.announced(id)
      // What moves a request is often told to people, in the same transaction.
      outbox.nudge()
    },
    log,
  })
  void listener.start()
  const timers = startTimers(database, log)
  outbox.start()

  const killSwitches = new KillSwitchStore({
    database,
    fleetTenant: DEFAULT_TENANT,
    nowMs,
    afterChange,
    endUnder: async (tx, by, openedUntilMs) => {
      const engaged = new KillSwitches([by])
      const stops: Stops = (call) => engaged.stopping(asCall(call)) !== null
      const { requests, grants } = await endByKill(tx, by, stops, openedUntilMs)
      return { approvalsEnded: requests, grantsRevoked: grants }
    },
  })
  const autoKill = config.autoKill === null ? null : autoKillBy(config.autoKill, killSwitches, log)

  const noting = every(
    NOTE_USE_MS,
    async () => {
      const keyIds = [...used]
      used.clear()
      await keys.markUsed(keyIds)
    },
    () => undefined,
  )
  return {
    identity: keyIdentity({ keyring: () => keyring, nowMs, withoutKeys: isOpen ? developmentIdentity : null }),
    control: {
      stopping: (call) => switches.stopping(call),
      isStale: () => state.isStale(),
      observe: (call, decision, atMs) => autoKill?.observe(call, decision, atMs),
    },
    approvals: desk,
    receipts: new BatchSigner(() => receiptKeys.signing),
    services: {
      keys,
      killSwitches,
      approvals: {
        reviews,
        waiting,
        list: (caller, filter, limit, pageToken) => listApprovals(database, known(), caller, filter, limit, pageToken),
        events: (tenant, approvalId) => eventsOf(database, tenant, approvalId),
        stats: (tenant, by, fromMs, untilMs) => approvalStats(database, tenant, by, fromMs, untilMs),
        receiptKeys: () => receiptKeys.published,
      },
      deadLetters: new DeadLetters(database, DEFAULT_TENANT, () => outbox.nudgeChannels()),
    },
    async close() {
      await noting.close()
      await timers.close()
      await outbox.close()
      await listener.close()
      await waiting.close()
      await state.close()
    },
  }
}

function autoKillBy(rule: AutoKillRule, killSwitches: KillSwitchStore, log: Log): AutoKill {
  const engage = async (tenant: string, agent: string, reason: string): Promise<void> => {
    log.warn('agent stopped by rule', { tenant, agent, reason })
    try {
      await killSwitches.engage(automatic(tenant), 'agent', agent, reason)
    } catch (cause) {
      log.error('an agent could not be stopped', { tenant, agent, cause: toError(cause) })
      throw cause
    }
  }
  return new AutoKill({ rule, engage })
}

/** Who engages by rule; people release. */
function automatic(tenant: string): Caller {
  const nothing = { approverRoles: [], attributes: {}, labels: {}, owner: '' }
  return { tenant, id: 'auto-kill', roles: ['operator'], keyId: 'auto-kill', ...nothing }
}

function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}

/** The call of a request, with other arguments. */
function callOf({ subject }: ApprovalRequest, args: JsonObject): Call {
  const { tenant, agent, principal, sessionId, delegationChain, tool, environment, facts } = subject
  return {
    requestId: '',
    tenant,
    agent: { id: agent, labels: facts.agentLabels },
    principal: principal === '' ? null : { id: principal, labels: facts.principalLabels },
    sessionId,
    delegationChain,
    tool,
    environment,
    arguments: args,
    context: facts.context,
  }
}

/** As much of a call as a kill switch looks at; of a team it is known elsewhere. */
function asCall(
  of: Pick<Call, 'tenant' | 'sessionId' | 'delegationChain' | 'tool'> & { readonly agent: string },
): Call {
  return {
    ...of,
    requestId: '',
    agent: { id: of.agent, labels: {} },
    principal: null,
    environment: '',
    arguments: {},
    context: {},
  }
}

/** Made where no key was made yet; else it must be the one that they were made with. */
async function findPepper(database: Database, file: string): Promise<Pepper> {
  const known = await database.query<{ pepperId: string }>(
    'SELECT pepper_id AS "pepperId" FROM api_keys UNION SELECT pepper_id FROM receipt_keys',
  )
  const pepper = readPepper(file, known.length === 0)
  if (known.length === 0 || known.some(({ pepperId }) => pepperId === pepper.id)) return pepper
  throw new PepperError(
    `the key pepper in \`${file}\` is not the one that the keys in the control store were made with: ` +
      'give every instance the same file with --key-pepper-file',
  )
}

/** A way in where nobody has one: into a file and not the log, for logs are kept and read by many. */
async function offerBootstrap(keys: KeyStore, file: string, log: Log): Promise<void> {
  const made = await keys.bootstrap(DEFAULT_TENANT)
  if (made === null) return
  writeFileSync(file, `${made.secret}\n`, { mode: 0o600 })
  log.warn('no admin has a key; the first one lies in a file, for a day: make an admin with it', { file })
}

import { writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { ReceiptKeyStore, type ReceiptKeys } from './approvals/receipts/key-store.js'
import { BatchSigner } from './approvals/receipts/signer.js'
import type { Config } from './config.js'
import { DEFAULT_TENANT, developmentIdentity } from './identity/development.js'
import { keyIdentity } from './identity/key-identity.js'
import { allKeys, KeyStore } from './identity/key-store.js'
import { Keyring } from './identity/keyring.js'
import { type Pepper, PepperError, readPepper } from './identity/pepper.js'
import type { KeyAdmin } from './model/api-key.js'
import { type ApprovalDesk, type Control, NO_CONTROL, type ReceiptSigner } from './model/control.js'
import type { Identity } from './model/identity.js'
import type { Log } from './model/log.js'
import { ControlState } from './state/control-state.js'
import { engagedSwitches, KillSwitchStore } from './state/kill-switch-store.js'
import { KillSwitches } from './state/kill-switches.js'
import type { ControlStore } from './store/control-store.js'
import type { Database } from './store/database.js'
import { every } from './store/every.js'

/** What a server knows beside its policies: who calls, what is stopped, who approves, and what it signs with. */
export interface ControlPlane {
  readonly identity: Identity
  readonly control: Control
  readonly approvals: ApprovalDesk | null
  readonly receipts: ReceiptSigner | null
  /** What the services of the control store work on; null without one. */
  readonly services: { readonly keys: KeyAdmin; readonly killSwitches: KillSwitchStore } | null
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
 * @throws {StoreUnavailable} a server must not begin on nothing
 * @throws {PepperError} when the pepper is not the one that the keys in the store were made with
 */
export async function openControlPlane(
  config: Config,
  store: ControlStore | null,
  dataFolder: string,
  log: Log,
  nowMs: () => number,
): Promise<ControlPlane> {
  if (store === null) return WITHOUT
  const { database } = store
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
  const isOpen = config.listen.isLoopback
  if (!isOpen || !keyring.isEmpty) await offerBootstrap(keys, join(dataFolder, BOOTSTRAP_FILE), log)

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
    control: { stopping: (call) => switches.stopping(call), isStale: () => state.isStale() },
    approvals: null,
    receipts: new BatchSigner(() => receiptKeys.signing),
    services: {
      keys,
      killSwitches: new KillSwitchStore({
        database,
        fleetTenant: DEFAULT_TENANT,
        nowMs,
        afterChange,
        endUnder: async () => ({ approvalsCancelled: 0, approvalsRevoked: 0, grantsRevoked: 0 }),
      }),
    },
    async close() {
      await noting.close()
      await state.close()
    },
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

import { createHash } from 'node:crypto'
import type { Delivery } from '../model/delivery.js'
import type { JsonObject, JsonValue } from '../model/json.js'
import type { ApprovalNotice, KillSwitchNotice, Notice } from './channel.js'
import { visible } from './visible.js'

const MOST = { name: 120, text: 600, item: 80, items: 10, title: 200 } as const

/** Of what a date can be. */
const LATEST_MS = 8.64e15

const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const

/** Those that ask people to act. */
const ASKING: ReadonlySet<string> = new Set([
  'approval.opened',
  'approval.stage-met',
  'approval.escalated',
  'approval.edited',
  'approval.extended',
  'approval.glass-broken',
  'approval.review-overdue',
])

/** Beginnings of titles; a kind that is none of these stands for itself. */
const TITLES: Readonly<Record<string, string>> = {
  'approval.opened': 'Approval needed',
  'approval.stage-met': 'Next approval needed',
  'approval.escalated': 'Approval escalated',
  'approval.edited': 'Approval needed, arguments changed',
  'approval.extended': 'Approval given more time',
  'approval.approved': 'Approved',
  'approval.rejected': 'Rejected',
  'approval.expired': 'Approval out of time',
  'approval.cancelled': 'Approval cancelled',
  'approval.revoked': 'Approval revoked',
  'approval.glass-broken': 'EMERGENCY: approved alone, review needed',
  'approval.review-overdue': 'OVERDUE: emergency approval not reviewed',
  'kill.engaged': 'KILL SWITCH engaged',
  'kill.release-asked': 'Kill switch: second person needed for its release',
  'kill.released': 'Kill switch released',
}

/** All that this version knows. */
export const NOTICE_KINDS: readonly string[] = Object.keys(TITLES)

/**
 * What a delivery says to people.
 *
 * The payload was written by a server of this fleet, maybe a newer one, and holds text of agents: what is missing or of
 * another type is empty, and what is there is made {@link visible}.
 *
 * @param link with `{id}` in place of the thread; empty for none
 */
export function noticeOf({ id, tenant, kind, payload, createdMs }: Delivery, link: string): Notice {
  const approval = approvalOf(payload)
  const killSwitch = killSwitchOf(payload)
  const thread = approval?.id ?? killSwitch?.id ?? ''
  const severity = SEVERITIES.find((known) => known === payload['severity'])
  const kindShown = visible(kind, MOST.name)
  return {
    id: `ntc_${createHash('sha256').update(id.toWellFormed()).digest('hex').slice(0, 32)}`,
    kind: kindShown,
    title: visible(`${TITLES[kind] ?? kindShown}${aboutOf(approval, killSwitch)}`, MOST.title),
    tenant: visible(tenant, MOST.name),
    thread,
    version: wholeNumber(payload['version']),
    atMs: createdMs,
    isAsking: ASKING.has(kind),
    severity: severity ?? '',
    approval,
    killSwitch,
    link: thread === '' ? '' : link.replaceAll('{id}', encodeURIComponent(thread)),
  }
}

function aboutOf(approval: ApprovalNotice | null, killSwitch: KillSwitchNotice | null): string {
  if (approval) return `: ${approval.tool} for ${approval.agent}`
  if (killSwitch) return `: ${killSwitch.scope}${killSwitch.target === '' ? '' : ` ${killSwitch.target}`}`
  return ''
}

function approvalOf(payload: JsonObject): ApprovalNotice | null {
  const id = name(payload['approvalId'])
  if (id === '') return null
  return {
    id,
    state: name(payload['state']),
    roles: names(payload['roles']),
    agent: name(payload['agent']),
    principal: name(payload['principal']),
    tool: name(payload['tool']),
    environment: name(payload['environment']),
    reason: text(payload['reason']),
    ruleIds: names(payload['ruleIds']),
    endedBy: name(payload['endedBy']),
    endedWhy: text(payload['endedWhy']),
    expiresMs: Math.min(wholeNumber(payload['expiresMs']), LATEST_MS),
  }
}

function killSwitchOf(payload: JsonObject): KillSwitchNotice | null {
  const id = name(payload['switchId'])
  if (id === '') return null
  return {
    id,
    scope: name(payload['scope']),
    target: name(payload['target']),
    by: name(payload['by']),
    reason: text(payload['reason']),
  }
}

function name(value: JsonValue | undefined): string {
  return typeof value === 'string' ? visible(value, MOST.name) : ''
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? visible(value, MOST.text) : ''
}

/** What is beyond the cap is counted. */
function names(value: JsonValue | undefined): readonly string[] {
  const all = Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
  const shown = all.slice(0, MOST.items).map((item) => visible(item, MOST.item))
  return all.length > MOST.items ? [...shown, `… and ${all.length - MOST.items} more`] : shown
}

function wholeNumber(value: JsonValue | undefined): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}

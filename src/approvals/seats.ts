import type { EscalatedRole, Vote } from '../model/approval.js'
import type { ApprovalGroup, ApprovalRequirement, ApprovalStage } from '../model/decision.js'

/** The votes that stand against a requirement, and whose votes never count. */
export interface Ballot {
  /** In the order in which they were given. */
  readonly votes: readonly Vote[]
  /** Votes about other arguments do not count; null where the votes are about another call on purpose, as with grants. */
  readonly digest: string | null
  /** Keys of persons, see {@link personKey}, who may vote through no seat. */
  readonly barred: ReadonlySet<string>
  readonly escalatedTo: readonly EscalatedRole[]
}

/** How far votes have come in meeting a requirement. */
export interface Progress {
  /** The open stage, from 0; the number of stages when met. */
  readonly stage: number
  readonly met: boolean
  /** Roles whose vote is missing in the open stage, those that were escalated to at the end. */
  readonly waitingFor: readonly string[]
  /** The votes that fill a place. */
  readonly seated: ReadonlySet<Vote>
}

/** What a person brings to a vote: one's own seat, or one that was lent. */
export type Seat = Pick<Vote, 'person' | 'onBehalfOf' | 'roles' | 'attributes'>

/**
 * Equal for what may be one person: spellings of an id that differ in case or width are one. Fewer persons is the strict side:
 * it bars more, and fills fewer places.
 */
export function personKey(id: string): string {
  return id.normalize('NFKC').trim().toLowerCase()
}

/** Everybody whom a vote uses up: who gives it and whose seat it is. */
export function personsOf({ person, onBehalfOf }: Seat): readonly string[] {
  return onBehalfOf === '' ? [personKey(person)] : [personKey(person), personKey(onBehalfOf)]
}

/**
 * Holds votes against a requirement: the one judge of progress, of consumption under the policies of the day, and of grants.
 *
 * Votes are seated in the order in which they came, each in the stage that was open then, so that adding a vote never undoes
 * what was met. Inside a stage the places are a bipartite matching: who holds two roles makes room when a later vote fits only
 * one of them. A requirement without stages, and a stage without places, is met by nobody.
 */
export function progressOf(requirement: ApprovalRequirement, ballot: Ballot): Progress {
  const { stages } = requirement
  const used = new Set<string>()
  const seated = new Set<Vote>()
  let stage = 0
  let table = new Table(stages[0])
  for (const [index, vote] of ballot.votes.entries()) {
    if (stage === stages.length) break
    if (vote.verdict !== 'approve' || (ballot.digest !== null && vote.digest !== ballot.digest)) continue
    const persons = personsOf(vote)
    if (persons.some((person) => ballot.barred.has(person) || used.has(person))) continue
    if (!table.seat(vote, rolesAskedBefore(ballot.escalatedTo, index))) continue
    seated.add(vote)
    for (const person of persons) used.add(person)
    if (table.isFull) table = new Table(stages[++stage])
  }
  const met = stages.length > 0 && stage === stages.length
  const waitingFor = met ? [] : [...new Set([...table.openRoles(), ...ballot.escalatedTo.map(({ role }) => role)])]
  return { stage, met, waitingFor, seated }
}

/** Whether the seat fits a place of this stage, taken or not: who may say no, comment and extend. */
export function fitsStage(
  stage: ApprovalStage | undefined,
  seat: Seat,
  escalatedTo: readonly EscalatedRole[],
): boolean {
  const groups = stage?.from ?? []
  return groups.some((group) => fits(seat, group)) || (groups.length > 0 && holdsAny(seat, escalatedTo))
}

/**
 * Whether these persons, all of them at hand, could meet the requirement. Roles that will be escalated to count as asked: a
 * request that only they can answer waits for them.
 */
export function couldMeet(
  requirement: ApprovalRequirement,
  persons: readonly Seat[],
  barred: ReadonlySet<string>,
): boolean {
  const { stages, escalations, onTimeout } = requirement
  const later = escalations.map(({ role }) => role)
  if (onTimeout.kind === 'escalate') later.push(onTimeout.role)
  // One table for all stages: each person has one place in all of them together.
  const table = new Table({ from: stages.flatMap(({ from }) => from) })
  const seen = new Set<string>()
  for (const person of persons) {
    const keys = personsOf(person)
    if (keys.some((key) => barred.has(key) || seen.has(key))) continue
    if (table.seat(person, later)) for (const key of keys) seen.add(key)
  }
  return stages.length > 0 && stages.every(({ from }) => from.length > 0) && table.isFull
}

function rolesAskedBefore(escalatedTo: readonly EscalatedRole[], index: number): readonly string[] {
  return escalatedTo.filter(({ afterVotes }) => afterVotes <= index).map(({ role }) => role)
}

function holdsAny({ roles }: Seat, escalatedTo: readonly EscalatedRole[]): boolean {
  return escalatedTo.some(({ role }) => roles.includes(role))
}

function fits({ roles, attributes }: Seat, { role, where }: ApprovalGroup): boolean {
  if (!roles.includes(role)) return false
  return where.every(
    // INVARIANT: null is nobody's value, and what an object inherits is nobody's attribute.
    ({ attribute, value }) => value !== null && Object.hasOwn(attributes, attribute) && attributes[attribute] === value,
  )
}

/** The places of one stage and who sits in them. */
class Table {
  readonly #groups: readonly ApprovalGroup[]
  readonly #taken: { readonly seat: Seat; readonly fitting: readonly number[] }[][]

  constructor(stage: ApprovalStage | undefined) {
    this.#groups = stage?.from ?? []
    this.#taken = this.#groups.map(() => [])
  }

  get isFull(): boolean {
    return this.#groups.length > 0 && this.#groups.every((_, at) => this.#isTaken(at))
  }

  openRoles(): readonly string[] {
    return this.#groups.filter((_, at) => !this.#isTaken(at)).map(({ role }) => role)
  }

  /** Takes a place if there is one, moving others to where they fit as well. */
  seat(seat: Seat, escalatedTo: readonly string[]): boolean {
    const goesAnywhere = escalatedTo.some((role) => seat.roles.includes(role))
    const fitting = [...this.#groups.keys()].filter((at) => goesAnywhere || fits(seat, this.#groups[at]!))
    return this.#place(seat, fitting, new Set())
  }

  /** One step of an augmenting path; `tried` are groups that are known to have no way out. */
  #place(seat: Seat, fitting: readonly number[], tried: Set<number>): boolean {
    for (const at of fitting) {
      if (tried.has(at)) continue
      tried.add(at)
      const taken = this.#taken[at]!
      if (!this.#isTaken(at)) {
        taken.push({ seat, fitting })
        return true
      }
      for (const [index, other] of taken.entries()) {
        if (!this.#place(other.seat, other.fitting, tried)) continue
        taken[index] = { seat, fitting }
        return true
      }
    }
    return false
  }

  /** A group of no persons is a mistake of whoever built it, and is filled by nobody rather than by anybody. */
  #isTaken(at: number): boolean {
    const { count } = this.#groups[at]!
    return count >= 1 && this.#taken[at]!.length >= count
  }
}

import type { ApprovalState } from '../../src/model/approval.js'
import type { ApprovalRequirement } from '../../src/model/decision.js'

/**
 * Approvals a second time, slowly and without looking at the first: places are filled by trying every seating, time is what a list of
 * alarms says, and nothing is kept that could be told from what was done. No edits, no grants.
 */
export interface NaiveSeat {
  readonly person: string
  readonly onBehalfOf: string
  readonly roles: readonly string[]
}
interface NaiveVote extends NaiveSeat {
  /** How many roles of each requirement had been escalated to when it was given. */
  readonly escalated: readonly number[]
}

interface NaiveRequirement {
  readonly asked: ApprovalRequirement
  deadline: number
  readonly alarms: { at: number; readonly role: string }[]
  secondChance: string | null
  readonly escalated: string[]
}

export class NaiveApproval {
  state: ApprovalState = 'PENDING'
  readonly votes: NaiveVote[] = []
  readonly requirements: NaiveRequirement[]
  validUntil = 0
  extensions = 0
  readonly #barred: readonly string[]

  constructor(asked: readonly ApprovalRequirement[], barred: readonly string[], now: number) {
    this.#barred = barred
    this.requirements = asked.map((one) => ({
      asked: one,
      deadline: now + one.withinMs!,
      alarms: one.escalations.map(({ role, afterMs }) => ({ at: now + afterMs, role })).sort((a, b) => a.at - b.at),
      secondChance: one.onTimeout.kind === 'escalate' ? one.onTimeout.role : null,
      escalated: [],
    }))
  }

  pass(now: number): void {
    while (this.state === 'PENDING') {
      const open = this.requirements.filter((one) => !this.isMet(one, this.votes))
      const alarm = open.flatMap((one) => one.alarms.slice(0, 1).map((first) => ({ one, at: first.at })))
      const ends = open.map((one) => ({ one, at: one.deadline }))
      const first = Math.min(...alarm.map(({ at }) => at), ...ends.map(({ at }) => at))
      if (first > now) break
      const ringing = alarm.find(({ at }) => at === first)
      const over = ends.find(({ at }) => at === first)
      if (ringing !== undefined) ringing.one.escalated.push(ringing.one.alarms.shift()!.role)
      else if (over!.one.secondChance !== null) {
        over!.one.escalated.push(over!.one.secondChance)
        over!.one.secondChance = null
        over!.one.deadline = now + over!.one.asked.withinMs!
      } else this.state = 'EXPIRED'
    }
    if (this.state === 'APPROVED' && now >= this.validUntil) this.state = 'GRANT_EXPIRED'
  }

  /** Whether the vote is taken. */
  vote(by: NaiveSeat, approves: boolean, now: number): boolean {
    if (this.state !== 'PENDING') return false
    const persons = personsOf(by)
    if (persons.some((person) => this.#barred.includes(person))) return false
    if (this.votes.some((one) => personsOf(one).some((person) => persons.includes(person)))) return false
    const vote = { ...by, escalated: this.requirements.map(({ escalated }) => escalated.length) }
    if (!approves) {
      if (!this.requirements.some((one) => this.#isAsked(one, by))) return false
      this.state = 'REJECTED'
      return true
    }
    const counts = this.requirements.some((one) => this.#seated(one, [...this.votes, vote]).includes(vote))
    if (!counts) return false
    this.votes.push(vote)
    if (this.requirements.every((one) => this.isMet(one, this.votes))) this.#approve(now)
    return true
  }

  breakGlass(by: NaiveSeat, now: number): boolean {
    if (this.state !== 'PENDING' || by.onBehalfOf !== '' || this.#barred.includes(by.person)) return false
    if (!this.requirements.every(({ asked }) => asked.breakGlass !== null && by.roles.includes(asked.breakGlass)))
      return false
    this.#approve(now)
    return true
  }

  extend(by: NaiveSeat, ms: number): boolean {
    const isAllowed =
      this.state === 'PENDING' &&
      !personsOf(by).some((person) => this.#barred.includes(person)) &&
      this.requirements.some((one) => this.#isAsked(one, by)) &&
      this.extensions < 3
    if (!isAllowed) return false
    this.extensions++
    for (const one of this.requirements) {
      if (!this.isMet(one, this.votes)) one.deadline += Math.min(ms, one.asked.withinMs!)
    }
    return true
  }

  stop(): boolean {
    if (this.state === 'PENDING') this.state = 'CANCELLED'
    else if (this.state === 'APPROVED') this.state = 'REVOKED'
    else return false
    return true
  }

  consume(): boolean {
    if (this.state !== 'APPROVED') return false
    this.state = 'CONSUMED'
    return true
  }

  isMet(one: NaiveRequirement, votes: readonly NaiveVote[]): boolean {
    return this.#stageOf(one, votes).stage === one.asked.stages.length
  }

  #approve(now: number): void {
    this.state = 'APPROVED'
    this.validUntil = now + Math.min(...this.requirements.map(({ asked }) => asked.validForMs!))
  }

  #isAsked(one: NaiveRequirement, by: NaiveSeat): boolean {
    const stage = one.asked.stages[this.#stageOf(one, this.votes).stage]
    if (stage === undefined) return false
    return [...stage.from.map(({ role }) => role), ...one.escalated].some((role) => by.roles.includes(role))
  }

  #seated(one: NaiveRequirement, votes: readonly NaiveVote[]): readonly NaiveVote[] {
    return this.#stageOf(one, votes).seated
  }

  #stageOf(one: NaiveRequirement, votes: readonly NaiveVote[]): { stage: number; seated: readonly NaiveVote[] } {
    const at = this.requirements.indexOf(one)
    let stage = 0
    let here: NaiveVote[] = []
    const seated: NaiveVote[] = []
    for (const vote of votes) {
      const from = one.asked.stages[stage]?.from
      if (from === undefined) break
      const places = from.flatMap(({ count, role }) => Array<string>(count).fill(role))
      const canSit = (who: NaiveVote, role: string) =>
        who.roles.includes(role) ||
        one.escalated.slice(0, who.escalated[at]!).some((other) => who.roles.includes(other))
      if (!canAllSit([...here, vote], places, canSit)) continue
      here.push(vote)
      seated.push(vote)
      if (here.length === places.length) {
        stage++
        here = []
      }
    }
    return { stage, seated }
  }
}

function personsOf({ person, onBehalfOf }: NaiveSeat): readonly string[] {
  return onBehalfOf === '' ? [person] : [person, onBehalfOf]
}

/** Every seating is tried. */
function canAllSit(
  votes: readonly NaiveVote[],
  places: readonly string[],
  canSit: (vote: NaiveVote, role: string) => boolean,
): boolean {
  const [first, ...others] = votes
  if (first === undefined) return true
  return places.some(
    (role, at) => canSit(first, role) && canAllSit(others, [...places.slice(0, at), ...places.slice(at + 1)], canSit),
  )
}

/**
 * What people are told, ready to be shown: every text in it is capped and holds no character that is not seen, but is
 * still somebody else's text and never markup. Each channel escapes for its own syntax.
 */
export interface Notice {
  /** Stable over tries, channels and restarts; `ntc_` and 32 hexadecimal digits. */
  readonly id: string
  /** `approval.opened`, `approval.glass-broken`, `kill.engaged`, ... A newer server may send kinds that this one does not know. */
  readonly kind: string
  /** One line, at most 200 characters. */
  readonly title: string
  readonly tenant: string
  /** Of what messages belong to one thread: an approval, a kill switch. Empty for none. */
  readonly thread: string
  /** Counts up within a thread: who holds a higher one knows more. */
  readonly version: number
  readonly atMs: number
  /** Whether people are asked to do something. */
  readonly isAsking: boolean
  readonly severity: 'low' | 'medium' | 'high' | 'critical' | ''
  /** Null unless it is about an approval. */
  readonly approval: ApprovalNotice | null
  /** Null unless it is about a kill switch. */
  readonly killSwitch: KillSwitchNotice | null
  /** Where people look and decide, after they have signed in; empty when no address is configured. Opening it decides nothing. */
  readonly link: string
}

export interface ApprovalNotice {
  readonly id: string
  readonly state: string
  /** Whose votes are missing. */
  readonly roles: readonly string[]
  readonly agent: string
  readonly principal: string
  readonly tool: string
  readonly environment: string
  /** Why people are asked. The call's arguments are not sent. */
  readonly reason: string
  readonly ruleIds: readonly string[]
  readonly endedBy: string
  readonly endedWhy: string
  /** When time runs out; 0 when nothing does. */
  readonly expiresMs: number
}

export interface KillSwitchNotice {
  readonly id: string
  readonly scope: string
  readonly target: string
  readonly by: string
  readonly reason: string
}

export interface Sent {
  /** What the channel calls its message, for {@link Channel.update}; empty where it cannot be changed. At most 500 characters. */
  readonly remote: string
}

/** One way to people or programs. Holds no state that a restart must keep. */
export interface Channel {
  /** Host that is tried, for the circuit breaker: channels of one host share one. Empty for none. */
  readonly host: string
  /**
   * A log of what happened needs everything; people need what is true now: they are not told late that they are asked
   * when they have been told since what became of it.
   */
  readonly wantsOvertaken: boolean
  /** @throws {SendFailed} */
  send(notice: Notice): Promise<Sent>
  /**
   * Brings the thread's last message up to date, by what was sent as `remote`. Without it every notice is a message.
   * @throws {SendFailed}
   */
  update?(notice: Notice, remote: string): Promise<Sent>
  close?(): Promise<void> | void
}

export interface FailureKind {
  /** Whether the same may succeed later. */
  readonly isRetryable: boolean
  /** When the other side wants to be asked again; null when it did not say. */
  readonly retryAfterMs?: number | null
  /** Whether the whole host seems to be ill, and not this message. */
  readonly isHostIll?: boolean
  /** The receiver wants nothing more, ever. */
  readonly isGone?: boolean
}

/** The message says what happened and names no secret, which a URL may be. */
export class SendFailed extends Error {
  override readonly name = 'SendFailed'
  readonly isRetryable: boolean
  readonly retryAfterMs: number | null
  readonly isHostIll: boolean
  readonly isGone: boolean

  constructor(message: string, kind: FailureKind, options?: ErrorOptions) {
    super(message, options)
    this.isRetryable = kind.isRetryable
    this.retryAfterMs = kind.retryAfterMs ?? null
    this.isHostIll = kind.isHostIll ?? false
    this.isGone = kind.isGone ?? false
  }
}

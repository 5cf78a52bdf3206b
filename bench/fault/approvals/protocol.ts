import type { Target } from '../../../src/store/pg-database.js'

/** What the harness tells a process of racers. One job a process; a killed one's is given to the next from where it was. */
export interface Job {
  readonly target: Target
  readonly work:
    | { readonly kind: 'vote'; readonly persons: readonly string[] }
    | { readonly kind: 'consume'; readonly times: number }
    | { readonly kind: 'tick' }
  readonly requests: readonly Racing[]
}

export interface Racing {
  readonly id: string
  readonly shownDigest: string
  /** What makes its call another one. */
  readonly amount: number
}

/** What a process saw of one request: all of its attempts were answered. */
export interface Done {
  readonly id: string
  /** Answers that said: you decided it, or you may use it. */
  readonly won: readonly string[]
  readonly lost: number
  /** Answers that nothing in the design explains. */
  readonly odd: readonly string[]
}

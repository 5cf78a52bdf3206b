/** One figure over all rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  /** By round. */
  readonly samples: readonly number[]
}

/** @param samples at least one */
export function spreadOf(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new RangeError('a spread needs at least one sample')
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples }
}

/** How many times `of` is `to`, round by round: what slows the machine for one round slows both. */
export function ratioOf(of: Spread, to: Spread): Spread {
  const rounds = Math.min(of.samples.length, to.samples.length)
  return spreadOf(Array.from({ length: rounds }, (_, round) => of.samples[round]! / to.samples[round]!))
}

export interface RoundsOptions {
  /** Integer ≥ 1; odd, so that the median is a sample. */
  readonly rounds: number
  /** Rounds before the first that counts. @default 1 */
  readonly warmUps?: number
}

/**
 * Measures every case once a round, in turn, so that they share whatever the machine does meanwhile; every other round runs
 * backwards, so that none always follows the same one.
 * @param cases each gives one sample, in whatever unit
 */
export async function alternate<Key>(
  cases: ReadonlyMap<Key, () => number | Promise<number>>,
  { rounds, warmUps = 1 }: RoundsOptions,
): Promise<ReadonlyMap<Key, Spread>> {
  const forwards = [...cases]
  const backwards = forwards.toReversed()
  const samples = new Map<Key, number[]>(forwards.map(([key]) => [key, []]))
  for (let round = -warmUps; round < rounds; round++) {
    for (const [key, measure] of round % 2 === 0 ? forwards : backwards) {
      const sample = await measure()
      if (round >= 0) samples.get(key)!.push(sample)
    }
  }
  return new Map([...samples].map(([key, list]) => [key, spreadOf(list)]))
}

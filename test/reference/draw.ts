/** Where a generator takes its choices from: a seeded stream for long runs, fast-check for shrinking. */
export interface Draw {
  /** An integer from 0 to `below - 1`. */
  int(below: number): number
}

/** mulberry32: small, fast and good enough to choose with. */
export function seededDraw(seed: number): Draw {
  let state = seed >>> 0
  return {
    int(below) {
      state = (state + 0x6d2b79f5) >>> 0
      let t = Math.imul(state ^ (state >>> 15), 1 | state)
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
      return ((t ^ (t >>> 14)) >>> 0) % below
    },
  }
}

import type { Decision } from '../model/decision.js'

interface Kept {
  readonly matches: Int32Array
  readonly isUndeclaredTool: boolean
  readonly decision: Decision
}

/** A power of two. */
const SLOTS = 8_192

/**
 * Answers made before, by the exact list of what matched. Not a cache of decisions: every call is judged anew, and only the
 * wording of the answer, which follows from the matches alone, is used again. One slot a hash, the newest wins.
 */
export class Answers {
  readonly #slots: (Kept | undefined)[] = new Array<Kept | undefined>(SLOTS).fill(undefined)

  get(matches: Int32Array, isUndeclaredTool: boolean): Decision | undefined {
    const kept = this.#slots[slotOf(matches)]
    if (kept === undefined || kept.isUndeclaredTool !== isUndeclaredTool) return undefined
    return isEqual(kept.matches, matches) ? kept.decision : undefined
  }

  set(matches: Int32Array, isUndeclaredTool: boolean, decision: Decision): void {
    this.#slots[slotOf(matches)] = { matches: matches.slice(), isUndeclaredTool, decision }
  }
}

function slotOf(matches: Int32Array): number {
  let hash = matches.length
  for (let i = 0; i < matches.length; i++) hash = Math.imul(hash ^ matches[i]!, 0x9e3779b1) ^ (hash >>> 15)
  return (hash >>> 8) & (SLOTS - 1)
}

function isEqual(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

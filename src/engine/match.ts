import type { PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from '../compiler/predicate/truth.js'
import type { Program } from '../compiler/program.js'
import type { Call, Facts } from '../model/call.js'

/** An entry that matched, and whether only because a condition of it was unknown. */
export interface Match {
  readonly entry: number
  readonly indeterminate: boolean
}

/** Every entry of the policy set that matches the call, in the order of the entries. */
export function match(call: Call, facts: Facts, policySet: PolicySet): readonly Match[] {
  const { frame, index } = policySet
  frame.begin(call, facts.nowMs)
  try {
    walk(index.forTool(call.tool, call.environment), frame)
    walk(index.forEveryTool(call.environment), frame)
    if (frame.matchedCount === 0) return NONE
    const found = frame.matched.subarray(0, frame.matchedCount).sort()
    return Array.from(found, (code) => ({ entry: code >> 1, indeterminate: (code & 1) === 1 }))
  } finally {
    frame.end()
  }
}

const NONE: readonly Match[] = []

function walk(program: Program, frame: Frame): void {
  run(program.code, frame)
  for (const { feature, table, all } of program.branches) {
    const value = feature.read(frame)
    if (typeof value === feature.type && !Number.isNaN(value)) {
      const chosen = table.get(value as string | number | boolean)
      if (chosen !== undefined) walk(chosen, frame)
    } else if (value !== null && !feature.isScope) {
      // Null equals none of the literals; a value that is missing or of another type makes their conditions unknown.
      walk(all(), frame)
    }
  }
}

function run(code: Int32Array, frame: Frame): void {
  let at = 0
  while (at < code.length) {
    const entry = code[at]!
    const head = code[at + 1]!
    const end = at + 2 + (head >> 1)
    let truth: Truth = TRUE
    for (at += 2; at < end; at++) {
      const one = frame.truth(code[at]!)
      if (one === TRUE) continue
      if (one === FALSE || (head & 1) === 0) {
        truth = FALSE
        break
      }
      truth = UNKNOWN
    }
    at = end
    if (truth !== FALSE) frame.matched[frame.matchedCount++] = (entry << 1) | (truth === UNKNOWN ? 1 : 0)
  }
}

import type { PolicySet } from '../compiler/policy-set.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from '../compiler/predicate/truth.js'
import type { Program } from '../compiler/program.js'
import type { Call, Facts } from '../model/call.js'

/**
 * Finds every entry of the policy set that matches the call and leaves them in the frame, in the order of the entries, until
 * the next decision: `frame.matched`, each as `entry << 1 | indeterminate`.
 */
export function match(call: Call, facts: Facts, { frame, index }: PolicySet): void {
  frame.begin(call, facts.nowMs)
  try {
    walk(index.forTool(call.tool, call.environment), frame)
    walk(index.forEveryTool(call.environment), frame)
  } finally {
    frame.end()
  }
  sort(frame.matched, frame.matchedCount)
}

/** Insertion sort: programs list entries in order, so that there is little to move. */
function sort(codes: Int32Array, count: number): void {
  for (let i = 1; i < count; i++) {
    const code = codes[i]!
    let at = i
    while (at > 0 && codes[at - 1]! > code) {
      codes[at] = codes[at - 1]!
      at--
    }
    codes[at] = code
  }
}

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

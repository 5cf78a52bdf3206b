import type { PolicySet } from '../compiler/policy-set.js'
import { isNumeric } from '../compiler/predicate/compare.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from '../compiler/predicate/truth.js'
import type { Code, Program, RangeBranch, ValueBranch } from '../compiler/program.js'
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

const FEW = 32

/** Programs list entries in order, so that there is little to move; branches over ranges list them by their bounds. */
function sort(codes: Int32Array, count: number): void {
  if (count > FEW) {
    codes.subarray(0, count).sort()
    return
  }
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

function walk({ code, branches }: Program, frame: Frame): void {
  run(code, code.start, code.end, frame)
  for (let i = 0; i < branches.length; i++) {
    const branch = branches[i]!
    if (branch.kind === 'value') walkValue(branch, frame)
    else walkRange(branch, frame)
  }
}

function walkValue({ feature, table, all }: ValueBranch, frame: Frame): void {
  const value = feature.read(frame)
  if (typeof value === feature.type && !Number.isNaN(value)) {
    const chosen = table.get(value as string | number | boolean)
    if (chosen !== undefined) walk(chosen, frame)
  } else if (value !== null && !feature.isScope) {
    // Null equals none of the literals; a value that is missing or of another type makes their conditions unknown.
    run(all, all.start, all.end, frame)
  }
}

function walkRange({ feature, tree, starts, all }: RangeBranch, frame: Frame): void {
  const value = feature.read(frame)
  if (!isNumeric(value)) {
    run(all, all.start, all.end, frame)
    return
  }
  const { fitting } = frame
  const count = tree.find(Number(value), fitting)
  for (let i = 0; i < count; i++) run(all, starts[fitting[i]!]!, starts[fitting[i]! + 1]!, frame)
}

/** Evaluates the entries of a piece of code, and keeps those that match. */
function run({ memory }: Code, start: number, stop: number, frame: Frame): void {
  let at = start
  while (at < stop) {
    const entry = memory[at]!
    const head = memory[at + 1]!
    const end = at + 2 + (head >> 1)
    let truth: Truth = TRUE
    for (at += 2; at < end; at++) {
      const one = frame.truth(memory[at]!)
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

import { findIntervals } from '../compiler/interval-tree.js'
import { runPlan } from '../compiler/plan.js'
import type { PolicySet } from '../compiler/policy-set.js'
import { isNumeric } from '../compiler/predicate/compare.js'
import type { Frame } from '../compiler/predicate/frame.js'
import { FALSE, TRUE, type Truth, UNKNOWN } from '../compiler/predicate/truth.js'
import type { Value } from '../compiler/predicate/value.js'
import { BRANCH, BRANCH_KIND, type ProgramSection } from '../compiler/program.js'
import type { StringPool } from '../compiler/string-pool.js'
import { findNumber, findText } from '../compiler/text-table.js'
import type { Call, Facts } from '../model/call.js'

/**
 * Finds every entry of the policy set that matches the call and leaves them in the frame, in the order of the entries, until
 * the next decision: `frame.matched`, each as `entry << 1 | indeterminate`.
 *
 * @returns the row of the called tool, or -1 (see `NameIndex.fit`)
 */
export function match(call: Call, facts: Facts, policySet: PolicySet): number {
  const { frame, plans } = policySet
  begin(call, facts, policySet)
  const row = policySet.tools.rowOf(call.tool)
  const environmentRow = policySet.environments.rowOf(call.environment)
  const plan = plans.find(row, environmentRow)
  if (plan >= 0) runPlan(plans, plan, frame)
  else {
    place(call, policySet)
    walkAll(row, policySet)
    plans.missed(row, environmentRow)
  }
  frame.end()
  return row
}

/** Begins a decision: what is too long for all the rules about its tool to read is known before anything is evaluated. */
export function begin(call: Call, { nowMs }: Facts, { frame, budgets }: PolicySet): void {
  frame.begin(call, nowMs)
  if (budgets.mayBeTooLong) frame.isTooLong = budgets.isTooLong(call)
}

/** Tells the frame which patterns the names of the call fit. */
export function place(call: Call, { frame, tools, environments }: PolicySet): void {
  tools.fit(call.tool, frame.tool)
  frame.environmentRow = environments.fit(call.environment, frame.environment)
}

function walkAll(row: number, policySet: PolicySet): void {
  const { frame, programs } = policySet
  const { tool } = frame
  for (let at = tool.start; at < tool.end; at++) {
    const program = row >= 0 ? programs.byRow[at]! : programs.byPattern[tool.ids[at]!]!
    if (program >= 0) walk(policySet, program)
  }
  walk(policySet, programs.everyTool)
  frame.matchedCount = sortUnique(frame.matched, frame.matchedCount)
}

const FEW = 32

/**
 * Programs list entries in order, so that there is little to move. A tool that fits two patterns of one set finds its rule
 * twice, with the same truth.
 *
 * @returns how many there are, each counted once
 */
function sortUnique(codes: Int32Array, count: number): number {
  if (count > FEW) codes.subarray(0, count).sort()
  else insertionSort(codes, count)
  let unique = 0
  for (let i = 0; i < count; i++) {
    if (i === 0 || codes[i] !== codes[unique - 1]) codes[unique++] = codes[i]!
  }
  return unique
}

function insertionSort(codes: Int32Array, count: number): void {
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

function walk(policySet: PolicySet, program: number): void {
  const { code } = policySet.programs
  const branches = code[program + 1]!
  const first = program + 2 + branches
  run(code, first, code[program]!, policySet.frame)
  for (let at = program + 2; at < first; at++) walkBranch(policySet, code[at]!)
}

function walkBranch(policySet: PolicySet, branch: number): void {
  const { frame, programs } = policySet
  const { code } = programs
  const kind = code[branch + BRANCH.kind]!
  if (kind === BRANCH_KIND.environment) {
    const program = programOf(programs, branch, frame.environmentRow)
    if (program >= 0) walk(policySet, program)
    return
  }
  const value = frame.slot(code[branch + BRANCH.slot]!)
  if (kind === BRANCH_KIND.range && isNumeric(value)) {
    walkRange(programs, code[branch + BRANCH.base]!, Number(value), frame)
    return
  }
  const program = tabled(programs, policySet.strings, branch, kind, value)
  if (program >= 0) walk(policySet, program)
  else if (program === UNTELLING) {
    run(code, code[branch + BRANCH.allStart]!, code[branch + BRANCH.allEnd]!, frame)
  }
}

/** The program of an environment, or -1. */
function programOf({ code }: ProgramSection, branch: number, row: number): number {
  if (row < 0) return -1
  const base = code[branch + BRANCH.base]!
  let low = 0
  let high = code[branch + BRANCH.length]! / 2 - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const found = code[base + 2 * middle]!
    if (found === row) return code[base + 2 * middle + 1]!
    if (found < row) low = middle + 1
    else high = middle - 1
  }
  return -1
}

/** A value that makes conditions unknown: every record of the branch must be looked at. */
const UNTELLING = -2

/** The program of the entries that demand this value; -1 where none does. */
function tabled(
  { code, tables, tableNumbers }: ProgramSection,
  strings: StringPool,
  branch: number,
  kind: number,
  value: Value,
): number {
  const base = code[branch + BRANCH.base]!
  const length = code[branch + BRANCH.length]!
  if (kind === BRANCH_KIND.string && typeof value === 'string') {
    return value.length > code[branch + BRANCH.longest]! ? -1 : findText(tables, base, length, strings, value)
  }
  if (
    (kind === BRANCH_KIND.number && typeof value === 'number' && !Number.isNaN(value)) ||
    (kind === BRANCH_KIND.boolean && typeof value === 'boolean')
  ) {
    return findNumber(tables, base, length, tableNumbers, Number(value))
  }
  // Null equals none of the literals, but has no order; a value that is missing or of another type makes conditions unknown.
  if (value === null && kind !== BRANCH_KIND.range) return -1
  return code[branch + BRANCH.isScope] === 1 ? -1 : UNTELLING
}

function walkRange({ trees, code }: ProgramSection, root: number, value: number, frame: Frame): void {
  const { fitting } = frame
  const count = findIntervals(trees, root, value, fitting)
  for (let i = 0; i < count; i++) runOne(code, fitting[i]!, frame)
}

function run(code: Int32Array, start: number, stop: number, frame: Frame): void {
  for (let at = start; at < stop; ) at = runOne(code, at, frame)
}

/**
 * Evaluates one record, and keeps its entry if it matches.
 * @returns where the next record begins
 */
function runOne(code: Int32Array, record: number, frame: Frame): number {
  const head = code[record + 1]!
  const end = record + 2 + (head >> 1)
  let truth: Truth = TRUE
  for (let at = record + 2; at < end; at++) {
    const one = frame.truth(code[at]!)
    if (one === TRUE) continue
    if (one === FALSE || (head & 1) === 0) return end
    truth = UNKNOWN
  }
  frame.matched[frame.matchedCount++] = (code[record]! << 1) | (truth === UNKNOWN ? 1 : 0)
  return end
}

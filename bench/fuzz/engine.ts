import { compareOnce, type Disagreement } from '../../test/engine/differential.js'
import { seededDraw } from '../../test/engine/generate.js'
import type { Fuzzer } from './fuzzer.js'

const CALLS_A_SET = 40

/** A seed is one policy set and its calls. */
export const fuzzer: Fuzzer = {
  about: 'random policy sets and calls, decided by the compiled engine and by the naive evaluator',
  step(seed) {
    const { decisions, disagreements } = compareOnce(seededDraw(seed), CALLS_A_SET)
    return { decisions, inputs: CALLS_A_SET, mismatches: disagreements.map(describe) }
  },
}

function describe({ compiled, naive, call }: Disagreement): string {
  return `compiled ${compiled}, naive ${naive}, call ${call}`
}

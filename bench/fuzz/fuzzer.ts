/**
 * One fuzzer: `bench/fuzz/NAME.ts` exports it as `fuzzer` and stands in the list of `fuzzers.ts`. The driver runs each in a
 * thread of its own, so that a step which never ends, or takes all memory, is a finding with a seed and not the end of the run.
 */
export interface Fuzzer {
  /** What is held, in one line for the list of fuzzers. */
  readonly about: string
  /** Makes what the steps share: a server, compiled policies. Called once, before the first step; its time is not counted. */
  open?(): Promise<void>
  /**
   * One try, all of whose choices come from the seed: the same seed finds the same again, whatever ran before it.
   * A few milliseconds to half a second long. What it throws is a crash; the driver counts it and goes on with the next seed.
   * @param seed integer, 0 to 2^32 - 1
   */
  step(seed: number): Step | Promise<Step>
  /** Called after the last step, also after a crash. */
  close?(): Promise<void>
}

export interface Step {
  /** Calls that were decided in two ways and compared; 0 for a fuzzer that decides none. */
  readonly decisions: number
  /** Texts, messages, frames or calls that were tried, integer ≥ 1. */
  readonly inputs: number
  /** What should have held and did not, each with the input that shows it. The driver escapes control characters. */
  readonly mismatches: readonly string[]
}

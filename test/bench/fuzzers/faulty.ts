import type { Fuzzer } from '../../../bench/fuzz/fuzzer.js'

/** A fuzzer with everything that a fuzzer can find: seed 1 disagrees, 2 throws, 3 never ends, 4 takes its thread with it. */
export const fuzzer: Fuzzer = {
  about: 'finds something of every kind',
  step(seed) {
    if (seed === 2) throw new Error('thrown by a step')
    while (seed === 3);
    if (seed === 4) queueMicrotask(() => setImmediate(() => process.exit(7)))
    const step = { decisions: 2, inputs: 3, mismatches: seed === 1 ? ['one', 'other'] : [] }
    return seed === 4 ? new Promise(() => {}) : step
  },
}

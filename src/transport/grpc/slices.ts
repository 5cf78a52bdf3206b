/** How long the calls of one message hold the event loop at a time, and after how many the clock is looked at. */
const SLICE_MS = 5
const CALLS_A_LOOK = 4

/**
 * Does `work` for 0 to `count` - 1, then `done`. In the same turn where that is quick; else in slices, since a call may cost
 * milliseconds, and a thousand in one message must not hold up everyone else's.
 */
export function inSlices(count: number, work: (i: number) => void, done: () => void): void {
  const goOn = (first: number): void => {
    const untilMs = performance.now() + SLICE_MS
    for (let i = first; i < count; i++) {
      if (i % CALLS_A_LOOK === 0 && i > first && performance.now() > untilMs) {
        setImmediate(goOn, i)
        return
      }
      work(i)
    }
    done()
  }
  goOn(0)
}

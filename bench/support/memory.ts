/**
 * Collects garbage, so that a sample does not pay for what others left behind. Without `--expose-gc` it does nothing: the
 * runner of benchmarks gives it, the one of tests does not.
 */
export function collect(): void {
  globalThis.gc?.()
}

/** What lives after a collection: objects of the heap and array buffers beside it, in bytes. Needs `--expose-gc`. */
export function liveBytes(): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc: without a collection, memory says nothing')
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** What lives after a collection: objects of the heap and array buffers beside it, in bytes. Needs `--expose-gc`. */
export function liveBytes(): number {
  if (globalThis.gc === undefined) throw new Error('run with --expose-gc: without a collection, memory says nothing')
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Reads at intervals until it is closed. */
export interface Poll {
  /** Reads at once; when a reading is under way, once more after it. */
  now(): void
  /** Waits for a reading under way. Safe to call twice. */
  close(): Promise<void>
}

/** How far an interval may differ from its length, so that instances do not read in step. */
const JITTER = 0.1

/**
 * Calls `read` every `ms` milliseconds, up to a tenth more or less, counted from the end of the last reading; never two at a
 * time. A reading that fails is told to `onError` and the next one comes as if it had not. It does not keep the process alive.
 */
export function every(
  ms: number,
  read: () => Promise<void>,
  onError: (error: unknown) => void,
  random: () => number = Math.random,
): Poll {
  let isClosed = false
  let isWanted = false
  let reading: Promise<void> | null = null
  let timer: NodeJS.Timeout | undefined
  const arm = (): void => {
    timer = setTimeout(start, ms * (1 - JITTER + 2 * JITTER * random())).unref()
  }
  const start = (): void => {
    if (isClosed) return
    isWanted = false
    clearTimeout(timer)
    // Not before `reading` is set: a reading may itself ask for the next one.
    reading = Promise.resolve()
      .then(read)
      .catch(onError)
      .finally(() => {
        reading = null
        if (isClosed) return
        if (isWanted) start()
        else arm()
      })
  }
  arm()
  return {
    now: () => {
      if (reading) isWanted = true
      else start()
    },
    close: async () => {
      isClosed = true
      clearTimeout(timer)
      await reading
    },
  }
}

import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { SourceBundle } from '../language/checked.js'
import type { Loaded } from './load-policies.js'

/** What the thread is told: every file, then to load them. */
export type LoaderRequest =
  | {
      readonly kind: 'file'
      readonly of: 'policies' | 'attachments'
      readonly path: string
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'load'; readonly live: string | null }

const THREAD = new URL('./loader-thread.js', import.meta.url)

/** Bytes and files that are handed over before the event loop gets its turn: about a quarter of a millisecond. */
const SLICE_BYTES = 512 * 1024
const SLICE_FILES = 64
/** What is remembered of a rule takes some kilobytes, and of more rules than this it is not worth its place. */
const MAX_REMEMBERED_RULES = 25_000
/** New objects that are soon dropped are most of what loading makes; a larger nursery lets them die in it. */
const NURSERY_MB = 64

/**
 * Loads policy texts in a thread of its own, so that reading ten thousand rules holds up no decision. The thread remembers what
 * it read, up to a number of rules, so that the next load costs what changed. A thread that dies costs the load it was at, and
 * the next load starts another one.
 */
export class PolicyLoader {
  readonly #script: URL
  #worker: Worker | null = null

  constructor({ script = THREAD }: { readonly script?: URL } = {}) {
    this.#script = script
  }

  /**
   * One load at a time.
   * @param live the revision that is live, or null
   * @throws when the thread died: out of memory, or by a fault of this program
   */
  async load(texts: SourceBundle, live: string | null): Promise<Loaded> {
    this.#worker ??= this.#start()
    const worker = this.#worker
    worker.ref()
    const answer = answerOf(worker)
    // It may fail while nobody waits for it: during the hand-over, or after that failed.
    answer.catch(() => {})
    try {
      await handOver(worker, texts)
      worker.postMessage({ kind: 'load', live } satisfies LoaderRequest)
      const loaded = await answer
      if (loaded.kind === 'loaded' && loaded.counts.rules > MAX_REMEMBERED_RULES) this.close()
      return loaded
    } catch (error) {
      this.close()
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`the thread that loads policies died: ${reason}; the next load starts a new one`, {
        cause: error,
      })
    } finally {
      worker.unref()
    }
  }

  close(): void {
    void this.#worker?.terminate()
    this.#worker = null
  }

  #start(): Worker {
    const worker = new Worker(this.#script, {
      name: 'policy-loader',
      // Loaders and profilers of the process are not for this thread.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: NURSERY_MB },
    })
    // A death between two loads is found by the next one; without a listener it would end the process.
    const forget = (): void => {
      if (this.#worker === worker) this.#worker = null
    }
    worker.on('error', forget).on('exit', forget)
    return worker
  }
}

function answerOf(worker: Worker): Promise<Loaded> {
  return new Promise<Loaded>((resolve, reject) => {
    const settle = (act: () => void) => {
      worker.off('message', onMessage).off('error', onError).off('messageerror', onError).off('exit', onExit)
      act()
    }
    const onMessage = (loaded: Loaded) => settle(() => resolve(loaded))
    const onError = (error: Error) => settle(() => reject(error))
    const onExit = (code: number) => settle(() => reject(new Error(`it ended with code ${code}`)))
    worker.on('message', onMessage).on('error', onError).on('messageerror', onError).on('exit', onExit)
  })
}

/** In slices, since each file is copied. */
async function handOver(worker: Worker, { policies, attachments }: SourceBundle): Promise<void> {
  let bytesLeft = SLICE_BYTES
  let filesLeft = SLICE_FILES
  for (const [of, files] of [
    ['policies', policies],
    ['attachments', attachments],
  ] as const) {
    for (const [path, bytes] of files) {
      worker.postMessage({ kind: 'file', of, path, bytes } satisfies LoaderRequest)
      bytesLeft -= bytes.byteLength
      if (bytesLeft > 0 && --filesLeft > 0) continue
      await setImmediate()
      bytesLeft = SLICE_BYTES
      filesLeft = SLICE_FILES
    }
  }
}

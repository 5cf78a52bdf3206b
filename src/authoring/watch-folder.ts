import { type FSWatcher, watch } from 'node:fs'
import { findPolicyFiles } from './policy-folder.js'

export interface FolderWatch {
  /** Resolves once the folder was looked at: every later change is told. */
  readonly ready: Promise<void>
  /** Stops watching. No `onChange` begins after it returns. */
  close(): void
}

export interface WatchOptions {
  /** How often the folder is looked at when the system reports nothing, milliseconds. @default 2_000 */
  readonly pollMs?: number
  /** How long the folder must have been quiet before `onChange`, milliseconds, so that half a `git pull` is not loaded. @default 150 */
  readonly quietMs?: number
}

/**
 * Calls `onChange` after the files of a policy folder changed: names, contents, or the target of Kubernetes' `..data` link.
 * The system's notifications only make it quick; polling makes it sure, on network file systems and bind mounts too.
 * A folder that cannot be read counts as a change, so that the reader reports why. `onChange` must not throw.
 */
export function watchPolicyFolder(root: string, onChange: () => void, options: WatchOptions = {}): FolderWatch {
  const { pollMs = 2_000, quietMs = 150 } = options
  let seen: string | null = null
  let closed = false
  let looking = false
  let again = false
  let quiet: NodeJS.Timeout | null = null

  const look = async (): Promise<void> => {
    if (looking) {
      again = true
      return
    }
    looking = true
    const now = await fingerprint(root)
    looking = false
    if (closed) return
    if (seen !== null && now !== seen) settle()
    seen = now
    if (again) {
      again = false
      void look()
    }
  }
  const settle = (): void => {
    if (quiet !== null) clearTimeout(quiet)
    quiet = setTimeout(() => {
      quiet = null
      if (!closed) onChange()
    }, quietMs)
    quiet.unref()
  }

  const poll = setInterval(() => void look(), pollMs)
  poll.unref()
  const watcher = watchQuietly(root, () => void look())
  return {
    ready: look(),
    close() {
      closed = true
      clearInterval(poll)
      if (quiet !== null) clearTimeout(quiet)
      watcher?.close()
    },
  }
}

async function fingerprint(root: string): Promise<string> {
  try {
    return (await findPolicyFiles(root)).map((file) => `${file.path}\0${file.stamp}`).join('\n')
  } catch (error) {
    return `unreadable: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Null where the system offers no watch for this folder (too many watches, some network mounts): polling carries on. */
function watchQuietly(root: string, onEvent: () => void): FSWatcher | null {
  try {
    const watcher = watch(root, { recursive: true, persistent: false }, onEvent)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return null
  }
}

import { closeSync, mkdirSync, openSync, realpathSync, rmSync, statSync } from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Keeps other servers off a data folder until it is released or the process ends, however it ends. */
export interface DataFolderLock {
  /** Absolute path of the folder. */
  readonly folder: string
  release(): Promise<void>
}

export class DataFolderError extends Error {
  override readonly name = 'DataFolderError'
}

/** Another process has the folder. */
class InUse extends DataFolderError {}

const SOCKET = 'lock.sock'
/** How long a holder gets to say its process id; it holds the folder whether it answers or not. */
const ANSWER_MS = 1_000
const LOOK_AGAIN_MS = 50

/**
 * Makes the folder when it is missing and locks it. Throws {@link DataFolderError} when another process has it, or when it
 * cannot be made or written.
 *
 * The lock is a listening Unix socket, which the kernel closes with its process: it cannot go stale as a file with a
 * process id in it can. On Linux a socket in the abstract namespace, named after the folder's inode, is taken first: no two
 * processes can have it, so taking over the socket file that a killed process left is safe. The file is what processes
 * in other network namespaces (a second container on the same volume) see.
 *
 * @param waitMs how long to wait for a holder that is about to end. @default 0
 */
export async function lockDataFolder(path: string, waitMs = 0): Promise<DataFolderLock> {
  const folder = prepare(path)
  const deadline = performance.now() + waitMs
  for (;;) {
    try {
      return await lock(folder)
    } catch (error) {
      if (!(error instanceof InUse) || performance.now() >= deadline) throw error
      await sleep(LOOK_AGAIN_MS)
    }
  }
}

async function lock(folder: string): Promise<DataFolderLock> {
  const servers: Server[] = []
  // A socket's path may have 107 bytes and a folder's has no such limit, so Linux goes through a descriptor of the folder. It
  // stays open as long as the socket: closing the socket removes its file by that path.
  const descriptor = process.platform === 'linux' ? openFolder(folder) : null
  let isReleased = false
  const release = async (): Promise<void> => {
    if (isReleased) return
    isReleased = true
    for (const server of servers.reverse()) await new Promise((resolve) => server.close(resolve))
    if (descriptor !== null) closeSync(descriptor)
  }
  try {
    if (process.platform === 'linux') {
      const { dev, ino } = statSync(folder, { bigint: true })
      servers.push(await claim(`\0portcullis-${dev}-${ino}`, folder))
    }
    servers.push(
      await claimFile(folder, descriptor === null ? join(folder, SOCKET) : `/proc/self/fd/${descriptor}/${SOCKET}`),
    )
    return { folder, release }
  } catch (error) {
    await release()
    throw error
  }
}

function prepare(path: string): string {
  try {
    makeFolder(path)
    return realpathSync(path)
  } catch (error) {
    throw unwritable(path, error)
  }
}

function openFolder(folder: string): number {
  try {
    return openSync(folder, 'r')
  } catch (error) {
    throw unwritable(folder, error)
  }
}

/** Node's own recursive mode never returns on some file systems (`/proc`). */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && statSync(path).isDirectory()) return
    const parent = dirname(path)
    if (codeOf(error) !== 'ENOENT' || parent === path || statSync(parent, { throwIfNoEntry: false })) throw error
    makeFolder(parent)
    makeFolder(path)
  }
}

async function claimFile(folder: string, path: string): Promise<Server> {
  const holder = await askHolder(path)
  if (holder) throw inUse(folder, holder)
  try {
    rmSync(path, { force: true })
    return await listen(path)
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') throw inUse(folder, 'another process')
    throw unwritable(folder, error)
  }
}

async function claim(name: string, folder: string): Promise<Server> {
  try {
    return await listen(name)
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') throw inUse(folder, (await askHolder(name)) ?? 'another process')
    throw unwritable(folder, error)
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => {
      connection.on('error', () => undefined)
      connection.end(`process ${process.pid}\n`)
    })
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      // The lock alone does not keep a process alive.
      server.unref()
      resolve(server)
    })
  })
}

/** Who listens there, as `process 4711`; null when nobody does. */
function askHolder(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = ''
    let isConnected = false
    const connection = createConnection(path)
    const done = (): void => {
      connection.destroy()
      resolve(isConnected ? (/^process \d{1,10}$/.exec(answer.trim())?.[0] ?? 'another process') : null)
    }
    connection.setEncoding('utf8').setTimeout(ANSWER_MS, done)
    connection.on('connect', () => {
      isConnected = true
    })
    connection.on('data', (text: string) => {
      answer = (answer + text).slice(0, 64)
    })
    connection.on('end', done)
    connection.on('error', done)
  })
}

function inUse(folder: string, holder: string): InUse {
  return new InUse(
    `the data folder ${folder} is in use by ${holder}; stop that one, or give this one a data folder of its own`,
  )
}

function unwritable(folder: string, error: unknown): DataFolderError {
  const message = error instanceof Error ? error.message : String(error)
  return new DataFolderError(
    `the data folder ${folder} cannot be used: ${message}. Make it writable, or set another one`,
    {
      cause: error,
    },
  )
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

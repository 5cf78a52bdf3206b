import { lstat, readdir, readFile, readlink, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import type { SourceBundle } from '../language/checked.js'

export interface FolderLimits {
  /** All files together, bytes. */
  readonly maxBytes: number
  readonly maxFiles: number
}
export const FOLDER_LIMITS: FolderLimits = { maxBytes: 64 * 1024 * 1024, maxFiles: 10_000 }
/** Folders within folders; deeper is a mistake, or a way to make a reload slow. */
const MAX_DEPTH = 32
const POLICY = /\.policy$/
/** Looks like a policy to people, and would be left out in silence. */
const ALMOST_POLICY = /\.policy\s*$/i
/** Names the file of `list x from "…"` and `import tools from "…"`, which is all that a lone policy file may read. */
const NAMED_FILE = /\bfrom\s+"([^"\n]+)"/g

/** The folder cannot be handed to the checker as it is; the message names the file, what is wrong and how to mend it. */
export class PolicyFolderError extends Error {
  override readonly name = 'PolicyFolderError'
}

/** A file of the bundle as found on disk. */
export interface FoundFile {
  /** Relative to the bundle root, with `/`. */
  readonly path: string
  readonly absolute: string
  readonly bytes: number
  /** Changes whenever the content may have: identity, size and time of the file that the links lead to. */
  readonly stamp: string
}

/**
 * Reads the policies below a folder, or a lone policy file with the files that it names, for the checker.
 *
 * Names that begin with a dot are skipped. Links are followed within the folder, and through Kubernetes' `..data` links
 * wherever those lead; a link out of the folder is an error, since what it points at is not under the folder's review.
 * A policy larger than its limit is still handed over: the checker reports it with file and line like any other finding.
 *
 * @throws {PolicyFolderError} when there is no policy file, a link is broken or leads out, or the bundle exceeds
 * its limits.
 */
export async function readPolicyFolder(root: string, limits: FolderLimits = FOLDER_LIMITS): Promise<SourceBundle> {
  const files = await findPolicyFiles(root, limits)
  const policies = new Map<string, Uint8Array>()
  const attachments = new Map<string, Uint8Array>()
  for (const file of files) {
    const bytes = await readFile(file.absolute).catch((error: unknown) => fail(file.path, error))
    ;(POLICY.test(file.path) ? policies : attachments).set(file.path, bytes)
  }
  return { policies, attachments }
}

/** The files that {@link readPolicyFolder} reads, in the order of their paths, without their contents. */
export async function findPolicyFiles(
  root: string,
  limits: FolderLimits = FOLDER_LIMITS,
): Promise<readonly FoundFile[]> {
  const at = await stat(root).catch((error: unknown) => fail(root, error))
  const files = at.isDirectory() ? await new Walk(await realpath(root), limits).run(root) : await loneFile(root, limits)
  if (!files.some((file) => POLICY.test(file.path))) {
    throw new PolicyFolderError(`no policy file (*.policy) below \`${root}\``)
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function loneFile(file: string, limits: FolderLimits): Promise<FoundFile[]> {
  const folder = path.dirname(path.resolve(file))
  const walk = new Walk(await realpath(folder), limits)
  const name = path.basename(file)
  if (!POLICY.test(name)) throw new PolicyFolderError(`\`${file}\` is neither a folder nor a policy file (*.policy)`)
  await walk.addFile(path.join(folder, name), name)
  const text = new TextDecoder().decode(await readFile(file).catch((error: unknown) => fail(file, error)))
  for (const [, named] of text.matchAll(NAMED_FILE)) {
    const inside = path.posix.normalize(named!)
    if (inside.startsWith('../') || path.isAbsolute(inside) || inside === name) continue
    const absolute = path.join(folder, inside)
    // One that is missing is the checker's finding, which knows the line that names it.
    if (
      await stat(absolute)
        .then((s) => s.isFile())
        .catch(() => false)
    )
      await walk.addFile(absolute, inside)
  }
  return [...walk.files]
}

class Walk {
  readonly files: FoundFile[] = []
  private bytes = 0
  private readonly seen = new Set<string>()

  constructor(
    private readonly realRoot: string,
    private readonly limits: FolderLimits,
  ) {}

  async run(root: string): Promise<FoundFile[]> {
    await this.addFolder(root, '', [this.realRoot])
    return this.files
  }

  async addFile(absolute: string, relative: string): Promise<void> {
    if (this.seen.has(relative)) return
    this.seen.add(relative)
    if (ALMOST_POLICY.test(relative) && !POLICY.test(relative)) {
      throw new PolicyFolderError(`\`${relative}\` is not read: rename it to end in \`.policy\`, or move it elsewhere`)
    }
    const info = await stat(absolute, { bigint: true }).catch((error: unknown) => fail(relative, error))
    this.bytes += Number(info.size)
    if (this.files.length === this.limits.maxFiles) {
      throw new PolicyFolderError(
        `more than ${this.limits.maxFiles} files; keep what is no policy, list or tool list elsewhere`,
      )
    }
    if (this.bytes > this.limits.maxBytes) {
      throw new PolicyFolderError(
        `the files up to \`${relative}\` exceed ${this.limits.maxBytes / 1024 / 1024} MiB together; keep what is no policy, list or tool list elsewhere`,
      )
    }
    const stamp = `${info.dev}:${info.ino}:${info.size}:${info.mtimeNs}`
    this.files.push({ path: relative, absolute, bytes: Number(info.size), stamp })
  }

  /** `trail` holds the real paths of the folders on the way down, so that a link back up is found and not followed forever. */
  private async addFolder(absolute: string, relative: string, trail: readonly string[]): Promise<void> {
    if (trail.length > MAX_DEPTH)
      throw new PolicyFolderError(`\`${relative}\` lies more than ${MAX_DEPTH} folders deep`)
    const names = await readdir(absolute).catch((error: unknown) => fail(relative || absolute, error))
    for (const name of names.sort()) {
      if (name.startsWith('.')) continue
      await this.addEntry(path.join(absolute, name), relative === '' ? name : `${relative}/${name}`, trail)
    }
  }

  private async addEntry(absolute: string, relative: string, trail: readonly string[]): Promise<void> {
    const link = await lstat(absolute).catch((error: unknown) => fail(relative, error))
    if (link.isSymbolicLink()) await this.refuseLinkOutside(absolute, relative)
    const target = link.isSymbolicLink() ? await stat(absolute).catch((error: unknown) => fail(relative, error)) : link
    if (target.isFile()) return this.addFile(absolute, relative)
    if (target.isDirectory()) {
      const real = await realpath(absolute)
      if (trail.includes(real)) throw new PolicyFolderError(`\`${relative}\` links back to a folder that holds it`)
      return this.addFolder(absolute, relative, [...trail, real])
    }
    if (POLICY.test(relative)) throw new PolicyFolderError(`\`${relative}\` is no regular file`)
  }

  private async refuseLinkOutside(absolute: string, relative: string): Promise<void> {
    if ((await readlink(absolute)).startsWith('..data/')) return
    const real = await realpath(absolute).catch((error: unknown) => fail(relative, error))
    if (real !== this.realRoot && !real.startsWith(this.realRoot + path.sep)) {
      throw new PolicyFolderError(
        `\`${relative}\` links out of the policy folder; copy the file into the folder instead`,
      )
    }
  }
}

function fail(file: string, error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const why: Record<string, string> = {
    ENOENT: 'does not exist, or is a link to what does not',
    EACCES: 'may not be read by this user',
    ELOOP: 'is a link that leads to itself',
    ENOTDIR: 'lies below what is no folder',
  }
  throw new PolicyFolderError(`\`${file}\` ${why[code] ?? `cannot be read (${code || String(error)})`}`, {
    cause: error,
  })
}

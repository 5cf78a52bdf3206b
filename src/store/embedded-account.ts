import { chownSync, lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { EmbeddedPostgresError } from './embedded-errors.js'

/** Whose files and processes those of PostgreSQL are. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/**
 * The user who runs PostgreSQL; null is the one who runs us. PostgreSQL refuses to run as root, so root hands it to whom its
 * files belong to already, else to `nobody`.
 *
 * @param cluster folder of its files, if there is one
 */
export function chooseAccount(cluster: Stats | undefined): Account | null {
  const uid = process.getuid?.() ?? -1
  if (uid === 0) return cluster && cluster.uid !== 0 ? { uid: cluster.uid, gid: cluster.gid } : nobody()
  if (cluster && uid > 0 && cluster.uid !== uid) {
    throw new EmbeddedPostgresError(
      `the embedded PostgreSQL's files belong to the user ${cluster.uid}, and this is the user ${uid}: they were made by a server that ran as another user, or as root. Run as that one, or give them to this one with chown -R`,
    )
  }
  return null
}

/** Gives a folder and all in it to the account; links are given, not followed. */
export function giveTo(account: Account, path: string): void {
  const { uid, gid } = account
  const found = lstatSync(path)
  if (found.isSymbolicLink()) return
  if (found.uid !== uid) chownSync(path, uid, gid)
  if (found.isDirectory()) for (const name of readdirSync(path)) giveTo(account, join(path, name))
}

function nobody(): Account {
  const line = passwords().find((fields) => fields[0] === 'nobody')
  const uid = Number(line?.[2])
  const gid = Number(line?.[3])
  return uid > 0 && gid > 0 ? { uid, gid } : { uid: 65_534, gid: 65_534 }
}

function passwords(): string[][] {
  try {
    return readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
  } catch {
    return []
  }
}

/** The embedded PostgreSQL cannot be made or started. The message says what is wrong and how to mend it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError'
}

/** What PostgreSQL and the loader say, in what it means for whoever starts us. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/No space left on device|ENOSPC|Disk quota exceeded/i, 'the disk is full. Free space and start again'],
  [
    /error while loading shared libraries: ([^\s:]+)/,
    "a shared library is missing ($1). Install it with the system's package manager, or set DATABASE_URL to a PostgreSQL server",
  ],
  [
    /initialized by PostgreSQL version (\d+),? which is not compatible with this version (\d+)/,
    'its files are those of PostgreSQL $1, and this is PostgreSQL $2. Dump them with version $1 and restore, or start the version of Portcullis that made them',
  ],
  [
    /could not look up effective user ID (\d+)/,
    'the user id $1 has no name, and PostgreSQL needs one. Give it a line in /etc/passwd, or set DATABASE_URL to a PostgreSQL server',
  ],
  [
    /could not create shared memory segment|could not resize shared memory/i,
    'the system gave it no shared memory. Give the container a larger /dev/shm',
  ],
  [/Read-only file system|EROFS/i, 'the data folder is on a file system that is read-only. Set another one'],
  [/Permission denied/i, 'a file of it cannot be read or written. Give all of the folder to the user who runs it'],
]

/**
 * @param what happened, such as `the embedded PostgreSQL in /data/postgres did not start`
 * @param output what its processes printed
 */
export function explain(what: string, output: string): EmbeddedPostgresError {
  for (const [pattern, meaning] of MEANINGS) {
    const match = pattern.exec(output)
    if (match)
      return new EmbeddedPostgresError(
        `${what}: ${meaning.replaceAll(/\$(\d)/g, (_, n: string) => match[Number(n)] ?? '')}`,
      )
  }
  const last = output.trim().split('\n').slice(-5).join('\n')
  return new EmbeddedPostgresError(`${what}${last ? `; it said last:\n${last}` : ' and said nothing'}`)
}

import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'

/** Texts by path: of a folder with all that is in it, or of a `.tar.gz`. */
export function readTree(file: string): ReadonlyMap<string, string> {
  return statSync(file).isDirectory() ? readFolder(file) : readTar(gunzipSync(readFileSync(file)))
}

function readFolder(root: string): ReadonlyMap<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
  const texts = paths.filter((name) => /\.(json|cedar|cedarschema)$/.test(name)).sort()
  return new Map(texts.map((name) => [name, readFileSync(path.join(root, name), 'utf8')]))
}

const BLOCK = 512

/** Plain files of a tar archive (POSIX ustar); long names and everything else that needs another header are refused. */
function readTar(bytes: Buffer): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (let at = 0; at + BLOCK <= bytes.length; ) {
    const header = bytes.subarray(at, at + BLOCK)
    const field = (from: number, length: number) => header.toString('utf8', from, from + length).replace(/\0.*$/s, '')
    const name = field(0, 100)
    if (name === '') break
    const size = Number.parseInt(field(124, 12), 8)
    const type = field(156, 1)
    if (!Number.isInteger(size)) throw new Error(`no tar archive: the header at byte ${at} has no size`)
    at += BLOCK
    if (type === '0' || type === '') {
      const prefix = field(345, 155)
      texts.set(prefix === '' ? name : `${prefix}/${name}`, bytes.toString('utf8', at, at + size))
    } else if (type !== '5' && type !== 'g' && type !== 'x')
      throw new Error(`cannot read tar entry ${name} of type ${type}`)
    at += Math.ceil(size / BLOCK) * BLOCK
  }
  return texts
}

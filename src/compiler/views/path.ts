import { hasControl, hasInvisible, percentDecodings } from './fold.js'
import type { PathView } from './view-value.js'

const MAX_CHARACTERS = 4_096

/**
 * A file path. The fields show the text with percent-encoding and backslashes folded and dot segments resolved; symbolic
 * links are not followed, for the PDP sees no file system. Unknown: control and invisible characters, look-alikes of `.` and
 * `/`, escapes that are no UTF-8, URLs, UNC and drive-relative paths, and what a shell would expand (`~`, `$HOME`).
 */
export function parsePath(text: string): PathView | undefined {
  if (text === '' || text.length > MAX_CHARACTERS) return undefined
  const decodings = percentDecodings(text)
  if (decodings === undefined || !decodings.every(hasOnlyPlainNames) || DROPPED_END.test(decodings.at(-1)!))
    return undefined
  const readings = [...new Set(decodings.flatMap((decoded) => [normalise(decoded), normalise(foldSlashes(decoded))]))]
  const folded = normalise(foldSlashes(decodings.at(-1)!))
  const absolute = folded.startsWith('/') || DRIVE.test(folded)
  const segments = folded.split('/').filter((segment) => segment !== '' && segment !== '.')
  const name = segments.at(-1) ?? ''
  const dot = name.lastIndexOf('.')
  return {
    text: folded,
    name: name === '..' ? '' : name,
    extension: dot > 0 && name !== '..' ? name.slice(dot + 1).toLowerCase() : '',
    parent: normalise(`${folded}/..`),
    segments,
    absolute,
    escapes: !absolute && segments[0] === '..',
    readings,
  }
}

/**
 * Whether the path is `base` or lies below it; case counts. The answer is given where every reading of the text agrees (with
 * or without percent-decoding, with backslashes as separators or as characters), and where the working folder does not
 * matter: a relative path is never told to be inside or outside of an absolute base, nor is one that leaves its folder.
 */
export function underPath(view: PathView, base: string): boolean | undefined {
  const normalBase = normalise(base)
  const [first, ...others] = view.readings.map((reading) => isUnder(reading, normalBase))
  return others.every((answer) => answer === first) ? first : undefined
}

function isUnder(path: string, base: string): boolean | undefined {
  if (path === base || path.startsWith(base.endsWith('/') ? base : `${base}/`)) return true
  if (isAbsolute(path) !== isAbsolute(base)) return undefined
  if (isAbsolute(path)) return false
  if (leavesFolder(path) || leavesFolder(base)) return undefined
  return base === '.'
}

/** `C:/`, after slashes are folded. */
const DRIVE = /^[A-Za-z]:(?:\/|$)/

function isAbsolute(path: string): boolean {
  return path.startsWith('/') || DRIVE.test(path)
}

function leavesFolder(path: string): boolean {
  return path === '..' || path.startsWith('../')
}

function foldSlashes(text: string): string {
  return text.replaceAll('\\', '/')
}

/** Dot segments resolved, repeated and trailing slashes dropped: `/a`, `a/b`, `../a`, `C:/a`, `/`, `.`. */
function normalise(path: string): string {
  const root = path.startsWith('/') ? '/' : (DRIVE.exec(path)?.[0].padEnd(3, '/') ?? '')
  const resolved: string[] = []
  for (const segment of path.slice(root.length).split('/')) {
    if (segment === '' || segment === '.') continue
    if (segment !== '..') resolved.push(segment)
    else if (resolved.length > 0 && resolved.at(-1) !== '..') resolved.pop()
    else if (root === '') resolved.push('..')
  }
  return root + resolved.join('/') || '.'
}

/** Characters that look like `.`, `/` or `\`, or that compatibility folding turns into them. */
const LOOK_ALIKE =
  /[\u2024-\u2026\u2044\u2215\u2216\u221a\u2571\u2572\u27cb\u27cd\u29f5\u29f6\u29f8\u29f9\u3002\u3033\u30ce\u4e36\u4e3f\ufe52\ufe68\uff0e\uff0f\uff3c\uff61\uff65\uff05\ufe6a\u066a]/u
/** A scheme of two or more letters; one letter is a drive. */
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]+:[/\\]/
const DRIVE_RELATIVE = /^[A-Za-z]:(?![/\\])/
/** Two separators at the start, one of them a backslash: a host for Windows, a plain path for others. */
const UNC = /^(?:\\[/\\]|\/\\)/
/** `~`, `$HOME`, `${HOME}`, `$(pwd)`, `%APPDATA%`. */
const EXPANDED = /^~|\$[A-Za-z_{(]|%[A-Za-z_][A-Za-z0-9_()]*%/
/** `...` and `.. `, which Windows reads as `..`. */
const ODD_DOTS = /(?:^|[/\\])(?=[. ]*\.)(?:[. ]{3,}|\. |\.\. | \.+)(?:[/\\]|$)/

/** Linux's other names for `/`, working folders and open files: `/proc/self/root/etc/passwd`, `/dev/fd/3`. */
const PROCESS_ALIAS =
  /(?:^|[/\\])(?:proc[/\\].*[/\\](?:root|cwd|fd|exe|map_files)|dev[/\\]+(?:fd|stdin|stdout|stderr))(?:[/\\]|$)/
/** A dot or blank at the end of a name, which Windows drops: `a.pem.` is `a.pem` there. */
const DROPPED_END = /[^./\\ ][. ]*[. ](?:[/\\]|$)/
/** The backslash of Japanese and Korean code pages, in a place where it would make a step up. */
const BEST_FIT = /(?:^|[/\\\u00a5\u20a9])\.\.?[\u00a5\u20a9]|[\u00a5\u20a9]\.\.?(?:[/\\]|$)/
/** `..;x`, which Java servers read as `..`. */
const DOTS_WITH_PARAMETER = /(?:^|[/\\])\.{1,2};/

function hasOnlyPlainNames(path: string): boolean {
  if (hasControl(path) || hasInvisible(path) || !path.isWellFormed() || LOOK_ALIKE.test(path)) return false
  if (SCHEME.test(path) || DRIVE_RELATIVE.test(path) || UNC.test(path) || EXPANDED.test(path)) return false
  if (BEST_FIT.test(path)) return false
  if (PROCESS_ALIAS.test(path) || DOTS_WITH_PARAMETER.test(path)) return false
  return !ODD_DOTS.test(path) && !foldsToSeparator(path)
}

/** Whether compatibility folding brings in a separator or dot that the text does not show (`℀` becomes `a/c`). */
function foldsToSeparator(path: string): boolean {
  const folded = path.normalize('NFKC')
  return folded !== path && (count(folded) !== count(path) || LOOK_ALIKE.test(folded))
}

function count(path: string): number {
  return path.replace(/[^./\\%~:]+/g, '').length
}

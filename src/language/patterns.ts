import type { NamePattern } from './ast.js'
import type { ToolIndex } from './tool-index.js'

/** What scopes match, as far as the checker needs it. The compiler has the matcher that decides calls. */

/** In a glob `*` stands for any run of characters; everything else for itself. Linear in practice: two pointers, no recursion. */
export function globMatches(glob: string, text: string): boolean {
  let g = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    if (glob[g] === '*') {
      star = g++
      resume = t
    } else if (g < glob.length && glob[g] === text[t]) {
      g++
      t++
    } else if (star >= 0) {
      g = star + 1
      t = ++resume
    } else return false
  }
  while (glob[g] === '*') g++
  return g === glob.length
}

/** Under `tool` without a declaration this is the pattern, in text and in print. */
export const UNDECLARED = 'undeclared'

/** Whether a pattern takes a name; a tool's name must be a declared one, so that `undeclared` never takes it. */
export function patternMatches(pattern: NamePattern, name: string, tags: readonly string[] = []): boolean {
  switch (pattern.kind) {
    case 'literal':
      return pattern.text === name
    case 'glob':
      return globMatches(pattern.text, name)
    case 'tag':
      return tags.includes(pattern.text)
    case 'undeclared':
      return false
  }
}

/** Every name that `narrow` matches, `wide` matches, too. May say no where the answer is yes, never the other way round. */
export function covers(wide: NamePattern, narrow: NamePattern): boolean {
  if (wide.kind === 'tag' || wide.kind === 'undeclared' || narrow.kind === 'tag')
    return wide.kind === narrow.kind && wide.text === narrow.text
  if (narrow.kind === 'undeclared') return wide.kind === 'glob' && /^\*+$/.test(wide.text)
  if (wide.kind === 'literal') return narrow.text === wide.text && !narrow.text.includes('*')
  // A star of the narrow glob is matched as a character of its own, which only a star of the wide one can take.
  return globMatches(wide.text, narrow.kind === 'glob' ? narrow.text.replaceAll('*', '\u0000') : narrow.text)
}

/**
 * True when some name may match both; exact but for two globs, which are taken to overlap unless their fixed ends differ.
 *
 * @param tools that some tenant's calls may find declared, for tags
 * @param always those of them that the layer itself sees declared, for `undeclared`
 */
export function mayOverlap(a: NamePattern, b: NamePattern, tools: ToolIndex, always: ToolIndex): boolean {
  if (a.kind === 'undeclared') return overlapsUndeclared(b, tools, always)
  if (b.kind === 'undeclared') return overlapsUndeclared(a, tools, always)
  if (a.kind === 'tag') return overlapsTag(a, b, tools)
  if (b.kind === 'tag') return overlapsTag(b, a, tools)
  if (a.kind === 'literal') return patternMatches(b, a.text)
  if (b.kind === 'literal') return patternMatches(a, b.text)
  const [headA, headB] = [a.text.split('*')[0] as string, b.text.split('*')[0] as string]
  const [tailA, tailB] = [a.text.split('*').at(-1) as string, b.text.split('*').at(-1) as string]
  return (headA.startsWith(headB) || headB.startsWith(headA)) && (tailA.endsWith(tailB) || tailB.endsWith(tailA))
}

/** What a tenant declares and tags is undeclared to the fleet all the same. */
function overlapsUndeclared({ kind, text }: NamePattern, tools: ToolIndex, always: ToolIndex): boolean {
  if (kind === 'tag') return tools.tagged(text).some(({ name }) => !always.has(name))
  return !(kind === 'literal' && always.has(text))
}

/** Tags come from declarations alone, so the declared tools tell. */
function overlapsTag(tag: NamePattern, other: NamePattern, tools: ToolIndex): boolean {
  if (other.kind === 'literal') return tools.isTagged(other.text, tag.text)
  return tools.tagged(tag.text).some(({ name, tags }) => patternMatches(other, name, tags))
}

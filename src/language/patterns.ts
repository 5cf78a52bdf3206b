import type { NamePattern, ScopeTerm } from './ast.js'
import type { CheckedTool } from './checked.js'

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
export function mayOverlap(a: NamePattern, b: NamePattern, tools: DeclaredTools, always: DeclaredTools): boolean {
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

type DeclaredTools = ReadonlyMap<string, CheckedTool>

/** What a tenant declares and tags is undeclared to the fleet all the same. */
function overlapsUndeclared({ kind, text }: NamePattern, tools: DeclaredTools, always: DeclaredTools): boolean {
  if (kind === 'tag') return [...tools.values()].some(({ name, tags }) => tags.includes(text) && !always.has(name))
  return !(kind === 'literal' && always.has(text))
}

/** Tags come from declarations alone, so the declared tools tell. */
function overlapsTag(tag: NamePattern, other: NamePattern, tools: DeclaredTools): boolean {
  for (const { name, tags } of tools.values()) {
    if (tags.includes(tag.text) && patternMatches(other, name, tags)) return true
  }
  return false
}

/** The declared tools that calls under a scope may name, and whether tools without declaration may come, too. */
export interface ToolsInScope {
  readonly declared: readonly CheckedTool[]
  /** The scope also takes tools that are not declared: by a glob, by no word about tools, by name, or as `undeclared`. */
  readonly open: boolean
  /** It takes one by name or as `undeclared`: nothing is known about the arguments. */
  readonly namesUndeclared: boolean
}

export function toolsInScope(terms: readonly ScopeTerm[], tools: ReadonlyMap<string, CheckedTool>): ToolsInScope {
  const toolTerms = terms.filter((term) => term.kind === 'scope' && term.on === 'tool')
  const [only] = toolTerms
  if (toolTerms.length === 1 && only !== undefined && only.patterns.every(({ kind }) => kind === 'literal')) {
    const declared = only.patterns.flatMap(({ text }) => tools.get(text) ?? [])
    const namesUndeclared = declared.length < only.patterns.length
    return { declared, open: namesUndeclared, namesUndeclared }
  }
  const declared = [...tools.values()].filter((tool) =>
    toolTerms.every(({ patterns }) => patterns.some((pattern) => patternMatches(pattern, tool.name, tool.tags))),
  )
  const isUndeclared = ({ kind, text }: NamePattern): boolean =>
    kind === 'undeclared' || (kind === 'literal' && !tools.has(text))
  const open = toolTerms.every(({ patterns }) => patterns.some((p) => p.kind === 'glob' || isUndeclared(p)))
  const namesUndeclared = open && toolTerms.some(({ patterns }) => patterns.some(isUndeclared))
  return { declared, open, namesUndeclared }
}

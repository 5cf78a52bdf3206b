import { type Automaton, step, Trie } from './trie.js'

/** More words than this are refused by the checker; measured up to here. */
export const MAX_WORDS = 2_000

/** Words of more characters than this, in all, take an automaton that is made beforehand. */
const MOST_CHARACTERS = 1_000
/**
 * Characters of the text times characters of the words up to which a compiled alternation is used: V8's matcher beats an
 * automaton in JavaScript on what calls hold, but words and texts can be made so that it looks at every word at every place.
 */
const MOST_ALTERNATION_STEPS = 1_000_000

/** An automaton over words, as data. */
export interface WordSection extends Automaton {
  /** By node: 1 where a word ends. */
  readonly ends: Uint8Array<ArrayBuffer>
  /** How many words there are, each counted once. */
  readonly words: number
}

/** Whether words are too many to be made ready while a call waits. */
export function takesAutomaton(words: readonly string[]): boolean {
  return words.reduce((sum, { length }) => sum + length, 0) > MOST_CHARACTERS
}

export function buildWords(words: readonly string[]): WordSection {
  const trie = new Trie()
  const nodes = words.map((word) => trie.add(word))
  const ends = new Uint8Array(trie.nodes)
  for (const node of nodes) ends[node] = 1
  return { ...trie.link((node) => ends[node] === 1), ends, words: new Set(nodes).size }
}

/**
 * True when the text contains at least one of the words as a substring, in time that grows with the text alone: one
 * alternation of escaped literals where even its worst case is short, else an automaton over all words.
 *
 * An empty list matches nothing, an empty word everything.
 *
 * @param section of the words, where they take one
 */
export function compileContainsAny(words: readonly string[], section?: WordSection): (text: string) => boolean {
  if (words.length === 0) return () => false
  if (words.includes('')) return () => true
  if (section !== undefined) return (text) => findsAny(section, text)
  const [word] = words
  if (words.length === 1 && word !== undefined) return (text) => text.includes(word)
  const unique = [...new Set(words)]
  const alternation = new RegExp(unique.map(escapeRegex).join('|'))
  const longest = MOST_ALTERNATION_STEPS / unique.reduce((sum, { length }) => sum + length, 0)
  // Made when the first long text comes: most lists never see one.
  let automaton: WordSection | undefined
  return (text) => {
    if (text.length <= longest) return alternation.test(text)
    automaton ??= buildWords(unique)
    return findsAny(automaton, text)
  }
}

const FEW_WORDS = 4

/**
 * True when the text contains every one of the words, in time that grows with the text and the words alone. An empty list is
 * contained in everything.
 *
 * @param section of the words, where they take one
 */
export function compileContainsAll(words: readonly string[], section?: WordSection): (text: string) => boolean {
  const unique = [...new Set(words)]
  if (unique.length <= FEW_WORDS) return (text) => unique.every((word) => text.includes(word))
  const automaton = section ?? buildWords(unique)
  return (text) => findsAll(automaton, text)
}

function findsAny({ edges, fallbacks, more, ends }: WordSection, text: string): boolean {
  let at = 0
  for (let i = 0; i < text.length; i++) {
    at = step(edges, fallbacks, at, text.charCodeAt(i))
    if (ends[at] === 1 || more[at]! >= 0) return true
  }
  return false
}

function findsAll({ edges, fallbacks, more, ends, words }: WordSection, text: string): boolean {
  const seen = new Uint8Array(ends.length)
  // An empty word ends at the root, and is there before the text begins.
  let left = words - ends[0]!
  seen[0] = 1
  let at = 0
  for (let i = 0; i < text.length && left > 0; i++) {
    at = step(edges, fallbacks, at, text.charCodeAt(i))
    // What was seen once has seen everything behind it, too.
    for (let hit = at; hit >= 0 && seen[hit] === 0; hit = more[hit]!) {
      seen[hit] = 1
      left -= ends[hit]!
    }
  }
  return left === 0
}

function escapeRegex(word: string): string {
  return word.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

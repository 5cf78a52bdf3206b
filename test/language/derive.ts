import grammar from '../../src/language/generated/grammar.js'

/** Samples of each kind of token; the words are those that the grammar gives a meaning to in some places. */
const SAMPLES: Record<string, readonly string[]> = {
  word: 'x when unless on deny allow require from then within else escalate valid for tags severity mode active unknown list tool env default args with notify until by at undeclared'.split(
    ' ',
  ),
  keyword: ['in', 'not', 'any', 'tag'],
  string: ['"a"'],
  number: ['1'],
  duration: ['5m'],
  timestamp: ['2026-01-05'],
  time: ['09:00'],
  cidr: ['10.0.0.0/8'],
  glob: ['db.*'],
  regex: ['/a/'],
  tag_word: ['a:b'],
}

type Symbol = string | { readonly literal: string } | { readonly type: string }
const rules = new Map<string, (readonly Symbol[])[]>()
for (const { name, symbols } of grammar.ParserRules) {
  rules.set(name, [...(rules.get(name) ?? []), symbols as readonly Symbol[]])
}

/** Fewest levels of rules below each nonterminal, so that a derivation that went deep enough comes to an end. */
const heights = new Map<string, number>()
const heightOf = (symbols: readonly Symbol[]): number =>
  1 + Math.max(0, ...symbols.map((symbol) => (typeof symbol === 'string' ? (heights.get(symbol) ?? 1_000) : 0)))
for (let changed = true; changed; ) {
  changed = false
  for (const [name, alternatives] of rules) {
    const height = Math.min(...alternatives.map(heightOf))
    if (height < (heights.get(name) ?? 1_000)) {
      heights.set(name, height)
      changed = true
    }
  }
}

/** A random text that the grammar derives from `start`, chosen by `random` (any non-negative integers). */
export function derive(random: () => number, start = grammar.ParserStart): string {
  const words: string[] = []
  const open: { readonly symbol: Symbol; readonly depth: number }[] = [{ symbol: start, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { symbol, depth } = next
    if (typeof symbol !== 'string') {
      const samples = 'literal' in symbol ? [symbol.literal] : (SAMPLES[symbol.type] ?? [])
      words.push(samples[random() % samples.length] as string)
      continue
    }
    const alternatives = rules.get(symbol) ?? []
    const lowest = Math.min(...alternatives.map(heightOf))
    const allowed = depth > 30 || words.length > 60 ? alternatives.filter((a) => heightOf(a) === lowest) : alternatives
    const chosen = allowed[random() % allowed.length] as readonly Symbol[]
    for (const part of chosen.toReversed()) open.push({ symbol: part, depth: depth + 1 })
  }
  return words.join(' ')
}

/**
 * The candidate that a writer most likely meant by `word`, or null when none is near: at most one slip for every three
 * letters (a missing, extra, wrong or swapped letter), upper and lower case and `-` against `_` counting as half a slip.
 */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  if (word.length > 64) return null
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(word.length / 3))
  for (const candidate of candidates) {
    if (candidate === word || Math.abs(candidate.length - word.length) > bestDistance) continue
    const distance = slips(word, candidate)
    if (distance < bestDistance || (distance === bestDistance && best === null)) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Optimal string alignment distance. */
function slips(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const left = a[row - 1] as string
      const right = b[column - 1] as string
      const swapped = row > 1 && column > 1 && left === b[column - 2] && a[row - 2] === right
      current[column] = Math.min(
        (previous[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (previous[column - 1] as number) + slip(left, right),
        swapped ? (beforePrevious[column - 2] as number) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length] as number
}

function slip(left: string, right: string): number {
  if (left === right) return 0
  const alike = left.toLowerCase() === right.toLowerCase() || (/[-_]/.test(left) && /[-_]/.test(right))
  return alike ? 0.5 : 1
}

/** `did you mean …` as a hint, or undefined. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const meant = suggest(word, candidates)
  return meant === null ? undefined : `did you mean \`${meant}\`?`
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(words: readonly string[], conjunction = 'or'): string {
  if (words.length < 2) return words.join('')
  return `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}`
}

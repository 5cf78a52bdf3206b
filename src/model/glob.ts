/**
 * Compiles a glob in which `*` stands for any run of characters, dots, slashes and nothing included, and every other
 * character for itself. Matches the whole text. Each literal run is looked for once, leftmost, which is enough as `*` is the
 * only wildcard; there is no backtracking.
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  const parts = pattern.split('*')
  if (parts.length === 1) return (text) => text === pattern
  const prefix = parts[0]!
  const suffix = parts[parts.length - 1]!
  const middle = parts.slice(1, -1).filter((part) => part !== '')
  const shortest = prefix.length + suffix.length
  if (middle.length === 0) {
    return (text) => text.length >= shortest && text.startsWith(prefix) && text.endsWith(suffix)
  }
  return (text) => {
    if (text.length < shortest || !text.startsWith(prefix) || !text.endsWith(suffix)) return false
    const end = text.length - suffix.length
    let at = prefix.length
    for (const part of middle) {
      const found = text.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at <= end
  }
}

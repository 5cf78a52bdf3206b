import { RE2JS } from 're2js'
import type { ConditionCheck } from './context.js'

/** The longest pattern that the engine takes. */
const MAX_PATTERN = 1_000

/** Patterns run in time linear in the text, so what needs backtracking is refused here and not when a call comes. */
export const regexes: ConditionCheck = (condition, report) => {
  if (!condition.has('matches')) return
  for (const expr of condition.nodes) {
    if (expr.kind !== 'matches') continue
    const problem = problemOf(expr.pattern, expr.flags)
    if (problem !== null) report('POL2301', expr.span, problem.message, problem.hint)
  }
}

function problemOf(pattern: string, flags: string): { readonly message: string; readonly hint?: string } | null {
  const flag = [...flags].find((letter) => letter !== 'i' && letter !== 's')
  if (flag !== undefined) {
    return {
      message: `\`${flag}\` is no flag of a regular expression`,
      hint: 'flags are `i` (ignore case) and `s` (a dot also matches line breaks)',
    }
  }
  if (pattern.length > MAX_PATTERN) {
    return { message: `the regular expression has ${pattern.length} characters; the limit is ${MAX_PATTERN}` }
  }
  try {
    RE2JS.compile(pattern)
    return null
  } catch (error) {
    if (/\(\?<?[=!]/.test(pattern)) {
      return {
        message: 'look-around (`(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)`) is refused: patterns run in linear time',
        hint: 'use two conditions, `x matches /a/ and not (x matches /b/)`',
      }
    }
    if (/\\[1-9]|\\k</.test(pattern)) {
      return {
        message: 'back-references (`\\1`) are refused: patterns run in linear time',
        hint: 'write the alternatives out',
      }
    }
    const reason = error instanceof Error ? error.message : String(error)
    return { message: `the regular expression does not compile: ${reason}`, hint: 'the syntax is that of RE2' }
  }
}

import type { JsonRule } from './json-bundle.js'

const STATEMENTS = new Set([
  'insert',
  'update',
  'delete',
  'drop',
  'alter',
  'truncate',
  'create',
  'grant',
  'revoke',
  'merge',
  'copy',
])
const LIMIT = /^limit\s*>\s*(\d+)$/i

/**
 * What the author of a rule that searches texts probably meant, as a condition on parsed SQL; null where nothing says so.
 * Only ever a comment: it decides differently (a column `updated_at` is no UPDATE), so a person has to choose it.
 */
export function sharperForm(rule: JsonRule): string | null {
  const parts = rule.conditions.flatMap((condition) => {
    switch (condition.kind) {
      case 'contains_any':
        return ofWords(condition.texts)
      case 'table_contains_any':
        return [
          `sql(args.sql).tables intersects [${condition.texts.map((t) => JSON.stringify(t.toLowerCase())).join(', ')}]`,
        ]
      default:
        return []
    }
  })
  return parts.length === 0 ? null : parts.join(' or ')
}

function ofWords(texts: readonly string[]): string[] {
  const statements = texts.map((text) => text.trim().toLowerCase()).filter((text) => STATEMENTS.has(text))
  const parts: string[] = []
  if (statements.length > 0) parts.push(`sql(args.sql).statements contains any of [${statements.join(', ')}]`)
  if (texts.includes('*')) parts.push('sql(args.sql).columns contains "*"')
  for (const text of texts) {
    const rows = LIMIT.exec(text.trim())?.[1]
    if (rows !== undefined) parts.push(`(sql(args.sql).has_limit and sql(args.sql).limit > ${rows})`)
  }
  return parts
}

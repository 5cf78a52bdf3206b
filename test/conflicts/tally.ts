import type { ConflictClass } from './classes.js'
import type { Answer, ConflictSet } from './format.js'
import type { Mismatch } from './run.js'

/** Counts of one class. */
export interface Counts {
  sets: number
  requests: number
  /** Requests that rules of two or more effects match. */
  conflicting: number
  /** Requests that some rule matches which could not be evaluated. */
  indeterminate: number
  ALLOW: number
  REQUIRE_APPROVAL: number
  DENY: number
  mismatches: number
}

export class Tally {
  readonly classes = new Map<string, Counts>()
  readonly mismatches: Mismatch[] = []
  sets = 0
  requests = 0

  add(set: ConflictSet, mismatches: readonly Mismatch[]): void {
    const counts = this.#countsOf(set.class)
    this.sets++
    counts.sets++
    for (const { expect } of set.requests) {
      this.requests++
      counts.requests++
      counts[expect.outcome]++
      if (effectsOf(set, expect) > 1) counts.conflicting++
      if (expect.matched?.some((id) => id.endsWith('?'))) counts.indeterminate++
    }
    counts.mismatches += mismatches.length
    this.mismatches.push(...mismatches)
  }

  #countsOf(name: string): Counts {
    const none = { sets: 0, requests: 0, conflicting: 0, indeterminate: 0, ALLOW: 0, REQUIRE_APPROVAL: 0, DENY: 0 }
    const counts = this.classes.get(name) ?? { ...none, mismatches: 0 }
    this.classes.set(name, counts)
    return counts
  }

  table(classes: readonly ConflictClass[]): string {
    const about = new Map(classes.map((one) => [one.name, one.about]))
    const heads = ['class', 'sets', 'requests', 'conflict', 'unknown', 'allow', 'approval', 'deny', 'mismatches']
    const rows = [...this.classes].map(([name, c]) => [
      name,
      ...[c.sets, c.requests, c.conflicting, c.indeterminate, c.ALLOW, c.REQUIRE_APPROVAL, c.DENY, c.mismatches].map(
        String,
      ),
      about.get(name) ?? 'written by hand',
    ])
    const total = heads.slice(1).map((_, i) => String(rows.reduce((sum, row) => sum + Number(row[i + 1]), 0)))
    const lines = [[...heads, 'what it is'], ...rows, ['all', ...total, '']]
    const width = Math.max(...lines.map(([name = '']) => name.length))
    return lines
      .map(([name = '', ...cells]) => {
        const numbers = cells.slice(0, -1).map((cell) => cell.padStart(11))
        return `${name.padEnd(width)}${numbers.join('')}  ${cells.at(-1)}`.trimEnd()
      })
      .join('\n')
  }
}

function effectsOf(set: ConflictSet, { matched }: Answer): number {
  const effects = (matched ?? []).map((id) => set.rules?.[id.replace('?', '')]?.effect)
  return new Set(effects).size
}

import { differences } from './answer.js'
import { type AnswerLine, type ConflictSet, parseLine } from './format.js'
import type { Mismatch } from './run.js'
import { Tally } from './tally.js'

/** Answers of another engine, compared. */
export interface Checked {
  readonly tally: Tally
  readonly answers: number
  /** Requests without answer. */
  readonly missing: number
  /** Answers to requests that the corpus does not have. */
  readonly unknown: number
}

/**
 * @param lines in the format of docs/conflict-corpus.md, "Answers"
 * @throws {Error} for a line that is no answer, and for a request answered twice
 */
export function checkAnswers(sets: Iterable<ConflictSet>, lines: readonly string[]): Checked {
  const answers = new Map<string, AnswerLine>()
  for (const [i, line] of lines.entries()) {
    const answer = readAnswer(line, i + 1)
    const key = keyOf(answer.set, answer.request)
    if (answers.has(key)) throw new Error(`line ${i + 1}: request ${answer.request} of ${answer.set} is answered twice`)
    answers.set(key, answer)
  }
  const tally = new Tally()
  let missing = 0
  for (const set of sets) {
    const mismatches = set.requests.flatMap(({ expect }, request): Mismatch[] => {
      const answer = answers.get(keyOf(set.id, request))
      if (answer === undefined) missing++
      answers.delete(keyOf(set.id, request))
      const fields = answer === undefined ? [] : differences(expect, answer)
      if (fields.length === 0) return []
      return [{ set: set.id, class: set.class, request, fields, expected: expect, actual: answer }]
    })
    tally.add(set, mismatches)
  }
  return { tally, answers: lines.length, missing, unknown: answers.size }
}

const OUTCOMES: readonly unknown[] = ['ALLOW', 'REQUIRE_APPROVAL', 'DENY']

function readAnswer(line: string, at: number): AnswerLine {
  let answer: Partial<AnswerLine>
  try {
    answer = parseLine<Partial<AnswerLine>>(line)
  } catch (error) {
    throw new Error(`line ${at}: ${error instanceof Error ? error.message : String(error)}`)
  }
  const { set, request, outcome } = answer
  if (typeof set !== 'string' || typeof request !== 'number' || !OUTCOMES.includes(outcome)) {
    throw new Error(`line ${at}: an answer has \`set\`, \`request\` and \`outcome\` (ALLOW, REQUIRE_APPROVAL or DENY)`)
  }
  return answer as AnswerLine
}

function keyOf(set: string, request: number): string {
  return `${set}#${request}`
}

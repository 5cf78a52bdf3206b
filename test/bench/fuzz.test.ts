import t from 'tap'
import { FUZZERS, loadFuzzer, moduleOf } from '../../bench/fuzz/fuzzers.js'
import { type Finding, takeTurn } from '../../bench/fuzz/turn.js'

const FAULTY = new URL('./fuzzers/faulty.js', import.meta.url).href

t.test('a turn goes on after every kind of finding, and loses none', async (t) => {
  const findings: Finding[] = []
  const progress = await takeTurn({ module: FAULTY, seed: 0, seconds: 60, steps: 8, stepLimitMs: 1_000 }, (finding) =>
    findings.push(finding),
  )
  t.same(
    findings.map(({ kind, seed }) => [kind, seed]),
    [
      ['mismatch', 1],
      ['mismatch', 1],
      ['crash', 2],
      ['crash', 3],
      ['crash', 4],
    ],
  )
  t.match(findings[2]!.text, /thrown by a step/)
  t.match(findings[3]!.text, /nothing came to an end/)
  t.match(findings[4]!.text, /ended with code 7/)
  const { steps, decisions, inputs, mismatches, crashes } = progress
  t.same(
    { steps, decisions, inputs, mismatches, crashes },
    { steps: 8, decisions: 10, inputs: 15, mismatches: 2, crashes: 3 },
  )
})

t.test('a module that cannot be opened is one crash', async (t) => {
  const findings: Finding[] = []
  const progress = await takeTurn(
    { module: 'data:text/javascript,nonsense(', seed: 0, seconds: 60, steps: 8 },
    (finding) => findings.push(finding),
  )
  t.equal(findings.length, 1)
  t.same([progress.steps, progress.crashes], [1, 1])
})

t.test('every listed fuzzer finds nothing in its first steps, and finds it again', async (t) => {
  for (const name of FUZZERS) {
    const fuzzer = await loadFuzzer(moduleOf(name))
    await fuzzer.open?.()
    try {
      for (const seed of [1, 2 ** 32 - 1]) {
        const step = await fuzzer.step(seed)
        t.same(step.mismatches, [], `${name}, seed ${seed}`)
        t.ok(step.inputs > 0, `${name} tries something`)
        t.same(await fuzzer.step(seed), step, `${name}, seed ${seed} again`)
      }
    } finally {
      await fuzzer.close?.()
    }
  }
})

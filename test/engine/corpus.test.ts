import t from 'tap'
import { compilePolicySet } from '../../src/compiler/compile.js'
import type { PolicySet } from '../../src/compiler/policy-set.js'
import { decide } from '../../src/engine/decide.js'
import type { Decision } from '../../src/model/decision.js'
import { type CorpusCase, checkCorpusFile, loadCorpus } from '../corpus/load.js'
import { naiveDecide } from '../reference/naive.js'
import { summary } from './differential.js'

/** The part of a decision that a case of the corpus speaks of, in the corpus's words. */
function actual(decision: Decision): Omit<CorpusCase['expect'], 'reason'> {
  return {
    outcome: decision.outcome,
    reasonCode: decision.reasonCode,
    rules: decision.matched.map(({ ruleId, indeterminate }) => `${ruleId}${indeterminate ? '?' : ''}`),
    monitored: decision.monitored.map(({ ruleId, indeterminate }) => `${ruleId}${indeterminate ? '?' : ''}`),
    obligations: decision.obligations.map(({ kind, target, value }) => `${kind} ${target} ${value}`),
    approvals: decision.approvals.map(({ stages }) =>
      stages.flatMap(({ from }) => from.map(({ count, role }) => (count === 1 ? role : `${count} of ${role}`))),
    ),
  }
}

const files = loadCorpus()
t.ok(files.length >= 6, 'the corpus is there')

for (const file of files) {
  t.test(`${file.file}: ${file.about}`, (t) => {
    const bundle = checkCorpusFile(file)
    const sets = new Map<string, PolicySet>()
    for (const { name, call, nowMs, expect } of file.cases) {
      const policySet = sets.get(call.tenant) ?? compilePolicySet(bundle, call.tenant)
      sets.set(call.tenant, policySet)
      const decision = decide(call, { nowMs }, policySet)
      const { reason, ...rest } = expect
      t.same(actual(decision), rest, name)
      if (reason !== null) t.match(decision.reason, new RegExp(literally(reason)), `${name}: reason`)
      t.equal(summary(naiveDecide(call, nowMs, bundle, call.tenant)), summary(decision), `${name}: naive evaluator`)
      t.equal(decision.policyRevision, bundle.revision, `${name}: revision`)
    }
    t.end()
  })
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

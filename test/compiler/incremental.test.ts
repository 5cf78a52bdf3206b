import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { compile } from '../../src/compiler/compile.js'
import { CompileCache } from '../../src/compiler/compile-cache.js'
import type { PolicyImage } from '../../src/compiler/image.js'
import { BundleCache, checkBundle } from '../../src/language/check.js'
import type { CheckedBundle } from '../../src/language/checked.js'

// A fixed seed, so that a run says the same twice; `FC_SEED=…` explores.
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20260105) })

const WORDS = Array.from({ length: 300 }, (_, at) => `"word-${at}"`).join(', ')

/** Bodies of rules: of each kind of condition, predicate, branch of the index and entry there is at least one. */
const BODIES: readonly ((n: number) => string)[] = [
  (n) => `on tool pay, env prod  when args.amount > ${n}  deny`,
  (n) =>
    `on tool pay, env [staging, dev]  when args.amount > ${n} and args.amount <= ${2 * n + 1}  require approval from cfo`,
  (n) => `on tool pay  when args.currency == "C${n % 5}"  deny "not in C${n % 5}"`,
  (n) => `on tool pay  when args.rate == ${n / 4}  allow with max_rows ${n + 1}`,
  (n) => `on tool [pay, mail], agent team = t${n % 6}  deny except approval from ops`,
  (n) => `on tool "db.*"  when sql(args.sql).tables contains "t${n}"  deny`,
  (n) => `on tool db.query, env "p*"  when args.sql matches /^drop t${n}/i  deny`,
  (n) => `on tool tag money  when count(args.to) > ${n}  require approval from cfo`,
  (n) => `on tool tag money  when args.amount < -${n}  allow`,
  () => 'on tool undeclared  deny',
  (n) => `on tool mail  when any r in args.to: domain(r) not in own and length(r) > ${n}  deny`,
  (n) => `on tool mail  when args.body contains any of [${WORDS}, "x${n % 3}"]  deny`,
  (n) => `on tool mail  when args.to subset of own  unless context.ticket == "${n}"  allow`,
  (n) => `when now in 09:00..17:00 "Europe/Berlin" on mon..fri and context.risk >= ${n}  deny`,
  (n) =>
    `on principal role = r${n % 9}  when exists args.x${n % 7} and not (args.x${n % 7} == ${n})  deny  mode monitor`,
  (n) => `on env prod, agent [a${n}, b]  deny  active from 2026-01-01 until 2026-12-${10 + (n % 20)}`,
  (n) =>
    `when agent.region in [eu, us, r${n}] and tool.name == "db.query"  deny  severity high  tags [soc2:CC6.${n % 9}]`,
  (n) => `on tool pay  when args.amount > ${n} and args.amount < ${3 * n + 5}  deny`,
  (n) => `when url(args.url).host == "h${n % 12}.example" and env == "prod"  deny  unknown means no match`,
]

/** Which of them sets nothing but bounds. */
const BOUNDS = BODIES.length - 2

interface WrittenRule {
  readonly id: number
  readonly body: number
  readonly n: number
}

/** One state of a bundle; `grounds` makes other declarations differ. */
interface State {
  readonly files: readonly (readonly WrittenRule[])[]
  readonly grounds: number
  readonly blanks: number
}

const PATHS = ['fleet.policy', 'own.policy', 'more.policy', 'tenants/acme/own.policy'] as const

function textOf(file: number, { files, grounds, blanks }: State): string {
  const name = `p${file}`
  const head =
    file === 0
      ? `fleet policy ${name}\ndefault allow\nlist own = ["example.com", "g${grounds}.example"]\ntool pay { amount: number, currency: string, rate: number, to: list<string> } tags [money]`
      : `policy ${name}\ndefault ${file === 1 ? 'deny' : 'require approval from boss'}\ntool db.query { sql: string }\ntool mail { to: list<string>, body: string, amount: number } tags [money]`
  const rules = files[file]!.map(({ id, body, n }) => `rule R${file}_${id} "about ${n}" {\n  ${BODIES[body]!(n)}\n}`)
  return `${[head, ...rules].join('\n'.repeat(2 + blanks))}\n`
}

function check(state: State, cache?: BundleCache): CheckedBundle {
  const policies = new Map(PATHS.map((path, file) => [path, Buffer.from(textOf(file, state))]))
  return checkBundle({ policies, attachments: new Map() }, cache)
}

const rule = fc.record({ body: fc.nat(BODIES.length - 1), n: fc.nat(60) })
const edit = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), file: fc.nat(3), id: fc.nat(90), rule }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('drop' as const), file: fc.nat(3), at: fc.nat(90) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), file: fc.nat(3), at: fc.nat(90) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('blank' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('undo' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('ground' as const), grounds: fc.nat(2) }) },
)
type Edit = typeof edit extends fc.Arbitrary<infer E> ? E : never

function apply(state: State, one: Exclude<Edit, { readonly kind: 'undo' }>): State {
  const rewritten = (file: number, change: (rules: readonly WrittenRule[]) => readonly WrittenRule[]): State => ({
    ...state,
    files: state.files.map((rules, at) => (at === file ? change(rules) : rules)),
  })
  switch (one.kind) {
    case 'write':
      return rewritten(one.file, (rules) => [...rules.filter(({ id }) => id !== one.id), { id: one.id, ...one.rule }])
    case 'drop':
      return rewritten(one.file, (rules) => rules.filter((_, at) => at !== one.at % (rules.length + 1)))
    case 'move':
      return rewritten(one.file, (rules) => [...rules.slice(one.at), ...rules.slice(0, one.at)])
    case 'blank':
      return { ...state, blanks: 1 - state.blanks }
    case 'ground':
      return { ...state, grounds: one.grounds }
  }
}

/** Of each body some, and enough that set bounds to one number for a tree of them. */
const START: State = {
  files: PATHS.map((_, file) =>
    Array.from({ length: 60 }, (_, id) => ({ id, body: id < 40 ? (id + file) % BODIES.length : BOUNDS, n: id })),
  ),
  grounds: 0,
  blanks: 0,
}

/** The sections that differ, for a message that can be read. */
const differing = (a: PolicyImage, b: PolicyImage): readonly string[] =>
  Object.keys(a).filter((key) => !isDeepStrictEqual(a[key as keyof PolicyImage], b[key as keyof PolicyImage]))

t.test('the bodies say what they are meant to', (t) => {
  const { diagnostics } = check(START)
  const errors = diagnostics.filter(({ severity }) => severity === 'error')
  t.same(
    errors.map(({ message, location }) => `${location.file}:${location.line} ${message}`),
    [],
  )
  const { programs, predicates } = compile(check(START), 'default')
  t.ok(programs.tables.length > 0, 'tables')
  t.ok(programs.trees.centres.length > 0, 'trees')
  t.ok(predicates.automata.length > 1, 'automata')
  t.ok(predicates.listChunks.length > 0, 'lists')
  t.end()
})

t.test('compiling with what is remembered makes the image that compiling anew makes, byte for byte', (t) => {
  fc.assert(
    fc.property(fc.array(fc.array(edit, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }), (rounds) => {
      const checked = new BundleCache()
      const compiled = new CompileCache()
      const states = [START]
      for (const edits of [[], ...rounds]) {
        let state = states.at(-1)!
        for (const one of edits) state = one.kind === 'undo' ? (states.at(-2) ?? state) : apply(state, one)
        states.push(state)
        const warm = check(state, checked)
        const cold = check(state)
        t.equal(warm.diagnostics.length, cold.diagnostics.length)
        compiled.keepOnly(warm)
        for (const tenant of ['default', 'acme', null]) {
          const image = compile(warm, tenant, compiled)
          // Whoever gets an image may hand its buffers on.
          const kept = structuredClone(image, { transfer: [image.strings.bytes.buffer, image.programs.code.buffer] })
          const differs = differing({ ...image, strings: kept.strings, programs: kept.programs }, compile(cold, tenant))
          t.same(differs, [], `of ${tenant}`)
        }
      }
    }),
    { numRuns: 10 },
  )
  t.end()
})

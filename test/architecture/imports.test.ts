import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'

/**
 * Who may import whom, besides model/ and itself; the table of docs/architecture.md. Folders that stand in `src/` and not
 * in this table fail the test, so that a new one is a decision and not an accident.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  language: [],
  compiler: ['language'],
  engine: ['compiler', 'state'],
  state: ['store'],
  identity: ['store'],
  approvals: ['store'],
  notify: [],
  audit: [],
  telemetry: [],
  store: [],
  tenants: ['language', 'compiler', 'store'],
  authoring: ['language', 'compiler', 'engine', 'store'],
  analytics: ['audit', 'state'],
  transport: ['pdp.ts', 'approvals', 'authoring', 'tenants', 'state', 'analytics', 'audit'],
  // The command line is a second composition root for the commands that need no server; `serve` hands over to main.ts.
  cli: ['language', 'compiler', 'engine', 'authoring', 'main.ts', 'config.ts', '../sdk'],
  'pdp.ts': ['identity', 'tenants', 'compiler', 'engine', 'state', 'approvals', 'telemetry'],
  'config.ts': [],
}
/** app.ts alone wires everything; main.ts turns configuration and signals into its calls, workers.ts does so for several processes. */
const UNBOUND = new Set(['app.ts', 'control-plane.ts', 'open-outbox.ts', 'main.ts', 'worker.ts', 'workers.ts'])

const SRC = resolve('src')

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* sources(path)
    else if (entry.name.endsWith('.ts')) yield path
  }
}

/** The first path segment below src/, or `../sdk` and the like for what lies beside it. */
function roomOf(file: string): string {
  const [first = '', second = ''] = relative(SRC, file).split('/')
  return first === '..' ? `../${second}` : first
}

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)'/g)].map((match) => match[1] as string)
  return specifiers.map((specifier) => resolve(dirname(file), specifier.replace(/\.js$/, '.ts')))
}

t.test('every import follows the table', (t) => {
  let seen = 0
  for (const file of sources(SRC)) {
    const room = roomOf(file)
    if (UNBOUND.has(room)) continue
    const allowed = MAY_IMPORT[room]
    if (!allowed) {
      t.fail(`${relative('.', file)} is in a room that the table does not name`)
      continue
    }
    for (const target of importsOf(file)) {
      seen++
      const other = roomOf(target)
      if (other === room || other === 'model' || allowed.includes(other)) continue
      t.fail(`${relative('.', file)} imports ${relative('.', target)}: ${room} may not import ${other}`)
    }
  }
  t.ok(seen > 20, `${seen} imports looked at`)
  t.end()
})

t.test('the table names no room that the documentation lacks', (t) => {
  const page = readFileSync('docs/architecture.md', 'utf8')
  for (const room of Object.keys(MAY_IMPORT)) {
    if (existsSync(join(SRC, room))) t.match(page, `\`${room}`, room)
  }
  t.end()
})

#!/usr/bin/env node
// Runs one measurement by name: `npm run bench -- decide`, `npm run fault -- audit`; `npm run fuzz` has a driver of its own.
// bench/NAME.ts or bench/NAME/main.ts is a benchmark, bench/fault/ holds what kills processes. Without a name it lists what
// there is. Everything after the name goes to the module, which ends with one JSON object on its last line when given --json.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** One line each for the list; a module without a line here is listed by its name alone. */
const ABOUT = {
  bench: {
    decide: 'time and memory of a decision, from 10 to 100,000 rules, beside Cedar, casbin, json-rules-engine and CASL',
    serve:
      'the server over sockets: unary, batches, arrivals by chance, audit on and off, beside a bare grpc-js server',
    audit: 'what a record costs the server, how fast records reach the store, the overview over ten million rows',
    load: 'from policy text to a policy set that decides, cold and after ten edits',
    approvals:
      'votes and kill switches from one instance to the others, waits, receipts, what a control store costs a call',
    worst: 'the slowest decision that each kind of condition and view can be made to take',
    demo: 'a day of a small company of agents: server, policies, approvals and audit, made anew by a seed',
    compare: 'REV [NAME...]: this tree against another revision, in alternated rounds',
    all: 'every benchmark with results of its own in bench/results/, one after the other',
  },
  fault: {
    audit: 'kills servers under load and counts what the audit lost',
    approvals:
      'races and kills processes that decide, use and time out approvals, and counts what was done twice or lost',
  },
}

const built = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'dist', 'bench')
const [kind = 'bench', ...rest] = process.argv.slice(2)

function names(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) =>
      entry.isDirectory() ? existsSync(path.join(folder, entry.name, 'main.js')) : entry.name.endsWith('.js'),
    )
    .map((entry) => entry.name.replace(/\.js$/, ''))
    .filter((name, at, all) => name !== 'fuzz' && all.indexOf(name) === at)
    .sort()
}

function find() {
  if (kind === 'fuzz') return { file: path.join(built, 'fuzz', 'main.js'), options: rest }
  const folder = kind === 'bench' ? built : path.join(built, kind)
  const known = names(folder)
  const [name, ...options] = rest
  if (!known.includes(name)) {
    const lines = known.map((one) => `  ${one.padEnd(10)} ${ABOUT[kind]?.[one] ?? ''}`.trimEnd())
    const list = lines.length === 0 ? '  nothing is built: run `npm run build` first' : lines.join('\n')
    const problem = name === undefined ? '' : `there is no \`${name}\`\n`
    console.error(`${problem}usage: npm run ${kind} -- NAME [options]\n${list}`)
    process.exit(name === undefined && lines.length > 0 ? 0 : 2)
  }
  const file = [path.join(folder, name, 'main.js'), path.join(folder, `${name}.js`)].find((one) => existsSync(one))
  return { file, options }
}

const { file, options } = find()
if (!existsSync(file)) {
  console.error('nothing is built: run `npm run build` first')
  process.exit(2)
}
const child = spawn(process.execPath, ['--expose-gc', file, ...options], { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1))

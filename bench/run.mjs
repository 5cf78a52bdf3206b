#!/usr/bin/env node
// Runs one measurement by name: `npm run bench -- decide`, `npm run fault -- kill9`, `npm run fuzz -- parser`.
// bench/NAME.ts is a benchmark, bench/fault/NAME.ts and bench/fuzz/NAME.ts are what they say; NAME/main.ts works too.
// Everything after the name goes to the module, which ends with one JSON object on its last line when given --json.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const built = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'dist', 'bench')
const [kind, name, ...rest] = process.argv.slice(2)
const folder = kind === 'bench' ? built : path.join(built, kind ?? '')

function names() {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) =>
      entry.isDirectory() ? existsSync(path.join(folder, entry.name, 'main.js')) : entry.name.endsWith('.js'),
    )
    .map((entry) => entry.name.replace(/\.js$/, ''))
    .sort()
}

if (!['bench', 'fault', 'fuzz'].includes(kind) || !names().includes(name)) {
  const known = names().join(', ') || 'nothing is built: run `npm run build` first'
  console.error(`usage: npm run ${kind ?? 'bench'} -- NAME [options]\nNAME is one of: ${known}`)
  process.exit(2)
}
const file = [path.join(folder, `${name}.js`), path.join(folder, name, 'main.js')].find((candidate) =>
  existsSync(candidate),
)
const child = spawn(process.execPath, ['--expose-gc', file, ...rest], { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1))

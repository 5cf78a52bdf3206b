import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { REPORTED } from './support/reported.js'
import { ROOT } from './support/root.js'

// npm run bench -- all [options]: makes everything in bench/results/ anew, one benchmark after the other, with the same options.

for (const name of REPORTED) {
  console.log(`\n== ${name}`)
  const runner = path.join(ROOT, 'bench', 'run.mjs')
  const { status } = spawnSync(process.execPath, [runner, 'bench', name, '--out', ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  if (status !== 0) {
    console.error(`bench ${name} failed; what ran before it is written, what comes after it was not run`)
    process.exit(status ?? 1)
  }
}

// Compiles grammar/main.ne (and the parts it includes) to src/language/generated/grammar.ts.
// Skips the half second of nearleyc when no grammar file is newer than its output.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'

const out = 'src/language/generated/grammar.ts'
const newest = Math.max(...readdirSync('grammar').map((name) => statSync(`grammar/${name}`).mtimeMs))
const built = statSync(out, { throwIfNoEntry: false })?.mtimeMs ?? 0
if (built < newest) {
  mkdirSync('src/language/generated', { recursive: true })
  const nearleyc = createRequire(import.meta.url).resolve('nearley/bin/nearleyc.js')
  execFileSync(process.execPath, [nearleyc, 'grammar/main.ne', '-o', out], { stdio: 'inherit' })
}

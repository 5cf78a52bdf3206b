#!/usr/bin/env node
import { run } from './program.js'
import { endWhenReaderIsGone, terminal } from './terminal.js'

for (const stream of [process.stdout, process.stderr]) endWhenReaderIsGone(stream)
process.exitCode = await run(process.argv, {
  out: terminal(process.stdout),
  err: terminal(process.stderr),
  stdin: process.stdin,
})

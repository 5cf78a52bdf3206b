import { Command } from 'commander'
import { runTests, type TestResult, testsOf } from '../authoring/run-tests.js'
import { goodBundle } from './bundle.js'
import type { ExitCode, Io } from './command.js'
import { nearMissLines } from './explain.js'
import { progress } from './progress.js'
import { responseJson } from './response.js'
import { clean, jsonLine, plural } from './terminal.js'

interface Flags {
  readonly json?: boolean
}

export function testCommand(io: Io, end: (code: ExitCode) => void): Command {
  return new Command('test')
    .description('run the tests that stand beside the policies')
    .argument('[folder]', 'policy folder or file', 'policies')
    .option('--json', 'print {passed, failed, tests} as JSON')
    .action(async (folder: string, flags: Flags) => end(await run(io, folder, flags)))
}

async function run(io: Io, folder: string, flags: Flags): Promise<ExitCode> {
  const bundle = await goodBundle(folder, io.err)
  const all = testsOf(bundle).length
  const bar = progress(io.err, 'tests', all)
  const results: TestResult[] = []
  for (const result of runTests(bundle)) {
    results.push(result)
    bar.at(results.length)
  }
  bar.end()
  const failed = results.filter((result) => !result.passed)
  if (flags.json === true) await io.out.write(jsonLine(asJson(results)))
  else {
    await printByFile(io, results)
    for (const result of failed) await printFailure(io, result)
    const verdict = failed.length === 0 ? io.out.paint('green', `${all} passed`) : `${all - failed.length} passed`
    const count = `${failed.length} failed`
    await io.out.write(`${verdict}, ${failed.length === 0 ? count : io.out.paint('red', count)}\n`)
    if (all === 0) await io.err.write(`no tests below \`${clean(folder)}\`; write them in files named *.test.policy\n`)
  }
  return failed.length === 0 ? 0 : 1
}

async function printByFile(io: Io, results: readonly TestResult[]): Promise<void> {
  for (const file of new Set(results.map((result) => result.location.file))) {
    const own = results.filter((result) => result.location.file === file)
    const failed = own.filter((result) => !result.passed).length
    const mark = failed === 0 ? io.out.paint('green', 'ok  ') : io.out.paint('red', 'FAIL')
    const note = failed === 0 ? '' : `, ${failed} failed`
    await io.out.write(`${mark} ${clean(file)}  ${io.out.paint('dim', `${plural(own.length, 'test')}${note}`)}\n`)
  }
}

async function printFailure(io: Io, { name, location, failures, decision }: TestResult): Promise<void> {
  const lines = [
    '',
    `${io.out.paint('red', 'FAIL')} ${io.out.paint('bold', clean(name))}  ${io.out.paint('dim', `${clean(location.file)}:${location.line}`)}`,
    ...failures.map((failure) => `  ${clean(failure)}`),
    `  answer: ${clean(decision.reason)}`,
    ...nearMissLines(decision.nearMisses, io.out).map((line) => `  ${line}`),
  ]
  await io.out.write(`${lines.join('\n')}\n\n`)
}

function asJson(results: readonly TestResult[]): unknown {
  const passed = results.filter((result) => result.passed).length
  return {
    passed,
    failed: results.length - passed,
    tests: results.map(({ name, tenant, location, failures, decision, ...rest }) => ({
      name,
      tenant,
      source: { file: location.file, line: location.line, column: location.column },
      passed: rest.passed,
      failures,
      ...(rest.passed ? {} : { decision: responseJson(decision, '') }),
    })),
  }
}

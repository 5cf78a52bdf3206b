import { Command } from 'commander'
import type { CheckedBundle } from '../language/checked.js'
import { checkFolder, countFindings, printDiagnostics } from './bundle.js'
import type { ExitCode, Io } from './command.js'
import { jsonLine, plural } from './terminal.js'

interface Flags {
  readonly strict?: boolean
  readonly json?: boolean
}

export function checkCommand(io: Io, end: (code: ExitCode) => void): Command {
  return new Command('check')
    .description('find every fault in a policy folder before it goes live')
    .argument('[folder]', 'policy folder or file', 'policies')
    .option('--strict', 'warnings fail, too')
    .option('--json', 'print {ok, revision, diagnostics, counts} as JSON')
    .action(async (folder: string, flags: Flags) => end(await run(io, folder, flags)))
}

async function run(io: Io, folder: string, flags: Flags): Promise<ExitCode> {
  const bundle = await checkFolder(folder)
  const bad = bundle.diagnostics.some(
    (d) => d.severity === 'error' || (flags.strict === true && d.severity === 'warning'),
  )
  if (flags.json === true) {
    const { revision, diagnostics } = bundle
    await io.out.write(jsonLine({ ok: !bad, revision, counts: counts(bundle), diagnostics }))
    return bad ? 1 : 0
  }
  await printDiagnostics(bundle.diagnostics, io.out)
  const { policies, rules, tools, lists, tests } = counts(bundle)
  const verdict = bad ? io.out.paint('red', 'not ready') : io.out.paint('green', 'ready')
  const has = [plural(rules, 'rule'), plural(tools, 'tool'), plural(lists, 'list'), plural(tests, 'test')].join(', ')
  const named = policies === 1 ? '1 policy' : `${policies.toLocaleString('en-US')} policies`
  await io.out.write(`${verdict}: ${named} with ${has}; ${countFindings(bundle.diagnostics)}\n`)
  return bad ? 1 : 0
}

function counts(bundle: CheckedBundle): Record<'policies' | 'rules' | 'tools' | 'lists' | 'tests', number> {
  const layers = [bundle.fleet, ...bundle.tenants.values()]
  // A tenant's maps include the fleet's, so names are counted by what they stand for.
  return {
    policies: new Set(layers.flatMap((layer) => layer.policies)).size,
    rules: new Set(layers.flatMap((layer) => layer.policies.flatMap((policy) => policy.rules))).size,
    tools: new Set(layers.flatMap((layer) => [...layer.tools.values()])).size,
    lists: new Set(layers.flatMap((layer) => [...layer.lists.values()])).size,
    tests: new Set(layers.flatMap((layer) => layer.tests)).size,
  }
}

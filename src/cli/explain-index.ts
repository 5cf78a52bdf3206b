import { Command } from 'commander'
import { explainIndex, type IndexedRule } from '../compiler/explain-index.js'
import { goodBundle, knownTenant } from './bundle.js'
import type { ExitCode, Io } from './command.js'
import { snakeCase } from './snake-case.js'
import { type Column, clean, jsonLine, plural, table } from './terminal.js'

interface Flags {
  readonly tenant: string
  readonly scan: boolean
  readonly json?: boolean
}

export function explainIndexCommand(io: Io, end: (code: ExitCode) => void): Command {
  return new Command('explain-index')
    .description('show how the index finds each rule, and why one has to be scanned')
    .argument('[folder]', 'policy folder or file', 'policies')
    .option('--tenant <id>', 'tenant whose policies are compiled', 'default')
    .option('--no-scan', 'exit 1 when a rule is scanned for every call')
    .option('--json', 'print the access paths as JSON')
    .action(async (folder: string, flags: Flags) => end(await run(io, folder, flags)))
}

async function run(io: Io, folder: string, flags: Flags): Promise<ExitCode> {
  const bundle = await goodBundle(folder, io.err)
  const rules = explainIndex(bundle, knownTenant(bundle, flags.tenant))
  const scanned = rules.filter((rule) => rule.access === 'scan')
  if (flags.json === true) await io.out.write(jsonLine({ scanned: scanned.length, rules: rules.map(asJson) }))
  else await printTable(io, rules, scanned)
  return scanned.length > 0 && !flags.scan ? 1 : 0
}

async function printTable(io: Io, rules: readonly IndexedRule[], scanned: readonly IndexedRule[]): Promise<void> {
  const columns: readonly Column[] = [
    { title: 'rule' },
    { title: 'layer' },
    { title: 'access' },
    { title: 'cost', align: 'right' },
    { title: 'by', flexible: true },
  ]
  const rows = rules.map((rule) => [clean(rule.ruleId), rule.layer, rule.access, String(rule.cost), clean(by(rule))])
  await io.out.write(table(columns, rows, io.out))
  await io.out.write(`\n${plural(rules.length, 'rule')}, ${scanned.length} scanned for every call\n`)
  for (const rule of scanned) {
    const { file, line } = rule.location
    await io.out.write(
      `  ${clean(rule.ruleId)}  ${io.out.paint('dim', `${clean(file)}:${line}`)}\n    ${clean(rule.whyScan ?? '')}\n`,
    )
  }
}

/** `tool pay, then range args.amount > 100`. */
function by({ by, within }: IndexedRule): string {
  return within === null ? by : `${by}, then ${within.access} ${within.by}`
}

function asJson(rule: IndexedRule): unknown {
  const { location, ...rest } = rule
  return snakeCase({ ...rest, source: { file: location.file, line: location.line, column: location.column } })
}

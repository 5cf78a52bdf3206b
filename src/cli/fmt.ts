import { readFile, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { findPolicyFiles } from '../authoring/policy-folder.js'
import { formatText } from '../language/format.js'
import { parseFile } from '../language/parse.js'
import { decodeUtf8 } from '../language/text.js'
import type { Diagnostic } from '../model/diagnostic.js'
import { countFindings, printDiagnostics } from './bundle.js'
import type { ExitCode, Io } from './command.js'
import { clean, jsonLine, plural } from './terminal.js'

interface Flags {
  readonly check?: boolean
  readonly json?: boolean
}

export function fmtCommand(io: Io, end: (code: ExitCode) => void): Command {
  return new Command('fmt')
    .description('write policy files in their one form; comments stay')
    .argument('[folder]', 'policy folder or file', 'policies')
    .option('--check', 'change nothing, exit 1 when a file is not in form')
    .option('--json', 'print {files, changed, diagnostics} as JSON')
    .action(async (folder: string, flags: Flags) => end(await run(io, folder, flags)))
}

async function run(io: Io, folder: string, flags: Flags): Promise<ExitCode> {
  const files = (await findPolicyFiles(folder)).filter((file) => file.path.endsWith('.policy'))
  const changed: string[] = []
  const diagnostics: Diagnostic[] = []
  for (const file of files) {
    const bytes = await readFile(file.absolute)
    const decoded = decodeUtf8(bytes)
    const formatted =
      'text' in decoded
        ? formatText(file.path, decoded.text)
        : { ok: false as const, diagnostics: parseFile(file.path, bytes).diagnostics }
    if (!formatted.ok) diagnostics.push(...formatted.diagnostics)
    else if (!bytes.equals(Buffer.from(formatted.text))) {
      changed.push(file.path)
      if (flags.check !== true) await replace(file.absolute, formatted.text)
    }
  }
  const bad = diagnostics.length > 0 || (flags.check === true && changed.length > 0)
  if (flags.json === true) {
    await io.out.write(jsonLine({ files: files.length, changed, diagnostics }))
    return bad ? 1 : 0
  }
  for (const file of changed) await io.out.write(`${clean(file)}\n`)
  await printDiagnostics(diagnostics, io.err)
  const did = flags.check === true ? 'not in form' : 'written anew'
  await io.err.write(`${plural(files.length, 'file')}, ${changed.length} ${did}; ${countFindings(diagnostics)}\n`)
  return bad ? 1 : 0
}

/** Writes beside and renames, so that a reader, or a crash, never meets half a policy. */
async function replace(file: string, text: string): Promise<void> {
  const target = await realpath(file)
  const beside = `${target}.${process.pid}.tmp`
  await writeFile(beside, text, { flag: 'wx', mode: (await stat(target)).mode })
  await rename(beside, target)
}

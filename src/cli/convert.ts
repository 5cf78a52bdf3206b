import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Command } from 'commander'
import { convertBundle } from '../authoring/convert/convert.js'
import { isName } from '../authoring/convert/name.js'
import type { JsonValue } from '../model/json.js'
import { JsonError } from '../model/json-error.js'
import { parseJson } from '../model/parse-json.js'
import { collect } from './call-options.js'
import { type ExitCode, type Io, UsageError } from './command.js'
import { clean, jsonLine, plural } from './terminal.js'

interface Flags {
  readonly name?: string
  readonly list: readonly string[]
  readonly output?: string
  readonly json?: boolean
}

/** Largest bundle, bytes. */
const MAX_BYTES = 16 * 1024 * 1024

export function convertCommand(io: Io, end: (code: ExitCode) => void): Command {
  return new Command('convert')
    .description('turn a JSON bundle into policy text that decides the same')
    .argument('<bundle.json>', 'the bundle, or - for standard input')
    .option('--name <name>', 'name of the policy; the file name where left out')
    .option(
      '--list <name=file>',
      'file that holds a list the bundle names, relative to the policy folder; repeatable',
      collect,
      [],
    )
    .option('-o, --output <file>', 'write there instead of standard output')
    .option('--json', 'print {policy, empty_lists} or {problems} as JSON')
    .action(async (file: string, flags: Flags) => end(await run(io, file, flags)))
}

async function run(io: Io, file: string, flags: Flags): Promise<ExitCode> {
  const json = await readBundleFile(io, file)
  const name = flags.name ?? nameFrom(file)
  if (!isName(name)) throw new UsageError(`--name: \`${name}\` is no name: letters, digits, \`_\` and inner \`-\``)
  const conversion = convertBundle(json, { name, lists: listFiles(flags.list) })
  if (!conversion.ok) {
    if (flags.json === true) await io.out.write(jsonLine({ problems: conversion.problems }))
    for (const { path: at, message } of conversion.problems)
      await io.err.write(`${clean(file)}: ${clean(at)} ${clean(message)}\n`)
    await io.err.write(`${plural(conversion.problems.length, 'problem')}; nothing was converted\n`)
    return 1
  }
  if (flags.json === true) {
    await io.out.write(jsonLine({ policy: conversion.text, empty_lists: conversion.emptyLists }))
  } else if (flags.output === undefined) await io.out.write(conversion.text)
  else await writeFile(flags.output, conversion.text)
  for (const list of conversion.emptyLists) {
    await io.err.write(
      `list ${list} is empty, so every domain is refused: fill it, or convert with --list ${list}=FILE\n`,
    )
  }
  return 0
}

async function readBundleFile(io: Io, file: string): Promise<JsonValue> {
  const bytes =
    file === '-'
      ? await readAll(io.stdin)
      : await readFile(file).catch((error: NodeJS.ErrnoException) => fail(file, error))
  try {
    return parseJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 64 })
  } catch (error) {
    if (error instanceof JsonError) throw new UsageError(`${file}: ${error.message}`)
    throw error
  }
}

async function readAll(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of input) {
    size += part.length
    if (size > MAX_BYTES) throw new UsageError(`the bundle is larger than ${MAX_BYTES / 1024 / 1024} MiB`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function fail(file: string, error: NodeJS.ErrnoException): never {
  throw new UsageError(`${file}: cannot be read (${error.code ?? error.message})`)
}

function nameFrom(file: string): string {
  const base = file === '-' ? 'converted' : path.basename(file).replace(/\.json$/, '')
  const name = base
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^(?=\d)/, '_')
    .replace(/^_+$|^$/, 'converted')
  return isName(name) ? name : `${name}_policy`
}

function listFiles(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1 || at === pair.length - 1) throw new UsageError(`--list must look like name=file, not \`${pair}\``)
      return [pair.slice(0, at), pair.slice(at + 1)] as const
    }),
  )
}

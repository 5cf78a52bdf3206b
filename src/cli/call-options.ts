import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseTimestamp } from '../language/literals.js'
import type { JsonObject, JsonValue } from '../model/json.js'
import { JsonError } from '../model/json-error.js'
import { parseJson, parseJsonObject } from '../model/parse-json.js'
import { UsageError } from './command.js'
import { type DecideRequest, RequestError, readRequest } from './request.js'

/** The flags that describe one call. */
export interface CallFlags {
  readonly tool?: string
  readonly env: string
  readonly agent: string
  readonly label: readonly string[]
  readonly principal?: string
  readonly session?: string
  readonly args?: string
  readonly arg: readonly string[]
  readonly context?: string
  readonly tenant: string
  readonly now?: number
}

export function addCallOptions(command: Command): Command {
  return command
    .option('--tool <name>', 'tool to be called')
    .option('--env <name>', 'environment', 'prod')
    .option('--agent <id>', 'agent that calls', 'agent')
    .option('--label <key=value>', 'label of the agent, repeatable', collect, [])
    .option('--principal <id>', 'on whose behalf')
    .option('--session <id>', 'session of the call')
    .option('--args <json>', 'arguments as a JSON object')
    .option(
      '--arg <key=value>',
      'one argument, repeatable; the value is JSON where it parses, else a text',
      collect,
      [],
    )
    .option('--context <json>', 'context as a JSON object')
}

/** `--policies`, `--tenant` and `--now`, for every command that decides. */
export function addDecisionOptions(command: Command): Command {
  return command
    .option('-p, --policies <folder>', 'policy folder or file', 'policies')
    .option('--tenant <id>', 'tenant whose policies decide', 'default')
    .addOption(
      new Option('--now <instant>', 'the clock, as ISO 8601 with zone or milliseconds since 1970').argParser(instant),
    )
}

/** @throws {UsageError} naming the flag */
export function requestOf(flags: CallFlags, explain: boolean): DecideRequest {
  if (flags.tool === undefined) throw new UsageError('--tool is missing')
  const given = flags.args === undefined ? {} : object(flags.args, '--args')
  const single = entries(flags.arg, '--arg', Object.keys(given)).map(([key, text]) => [key, jsonOrText(text)])
  try {
    return readRequest(
      {
        tool: flags.tool,
        environment: flags.env,
        agent: { id: flags.agent, labels: Object.fromEntries(entries(flags.label, '--label')) },
        ...(flags.principal === undefined ? {} : { principal: flags.principal }),
        ...(flags.session === undefined ? {} : { session_id: flags.session }),
        arguments: { ...given, ...Object.fromEntries(single) },
        context: flags.context === undefined ? {} : object(flags.context, '--context'),
        explain,
      },
      flags.tenant,
    )
  } catch (error) {
    if (error instanceof RequestError) throw new UsageError(error.message)
    throw error
  }
}

function object(text: string, flag: string): JsonObject {
  try {
    return parseJsonObject(text)
  } catch (error) {
    if (error instanceof JsonError) throw new UsageError(`${flag}: ${error.message}`)
    throw error
  }
}

function jsonOrText(text: string): JsonValue {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) return text
    throw error
  }
}

/** Of `key=value` pairs; as strict about keys as the reader of JSON, so that flags say no more than a request can. */
function entries(pairs: readonly string[], flag: string, taken: readonly string[] = []): readonly [string, string][] {
  const keys = new Set(taken)
  return pairs.map((pair) => {
    const at = pair.indexOf('=')
    if (at < 1) throw new UsageError(`${flag} must look like key=value, not \`${pair}\``)
    const key = pair.slice(0, at)
    if (key === '__proto__') throw new UsageError(`${flag}: the key \`__proto__\` is not accepted`)
    if (keys.has(key)) throw new UsageError(`${flag}: the key \`${key}\` is given twice`)
    keys.add(key)
    return [key, pair.slice(at + 1)]
  })
}

export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

/** Milliseconds since the epoch. A time without zone is refused: it would mean another instant on another machine. */
export function instant(text: string): number {
  const ms = /^\d{1,15}$/.test(text) ? Number(text) : parseTimestamp(text)
  if (ms === null) throw new InvalidArgumentError('write it like 2026-01-05T12:00Z')
  return ms
}

/** A server's address, `host:port` or `[::1]:port`. */
export function hostPort(text: string): string {
  const port = Number(/^(?:\[[\da-f:.%]+\]|[^\s:/[\]]+):(\d{1,5})$/i.exec(text)?.[1])
  if (!(port >= 1 && port <= 65_535)) throw new InvalidArgumentError('write it like 127.0.0.1:50051 or [::1]:50051')
  return text
}

export function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < from || value > to)
      throw new InvalidArgumentError(`write a whole number, ${from} to ${to}`)
    return value
  }
}

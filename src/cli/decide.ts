import { Command, Option } from 'commander'
import type { PolicySet } from '../compiler/policy-set.js'
import { decide } from '../engine/decide.js'
import { canonicalJson } from '../model/canonical-json.js'
import type { Decision } from '../model/decision.js'
import type { JsonObject } from '../model/json.js'
import { JsonError } from '../model/json-error.js'
import type { Outcome } from '../model/outcome.js'
import { JSON_LIMITS, parseJsonObject } from '../model/parse-json.js'
import { goodBundle, policySetOf } from './bundle.js'
import { addCallOptions, addDecisionOptions, type CallFlags, hostPort, requestOf } from './call-options.js'
import { type ExitCode, type Io, UsageError } from './command.js'
import { type ConnectionFlags, withCredential } from './connection.js'
import { paintOutcome } from './explain.js'
import { type InputLine, lines, MAX_LINE_BYTES } from './ndjson.js'
import { type DecideRequest, RequestError, readRequest } from './request.js'
import { responseJson } from './response.js'
import { serverClient } from './server-client.js'
import { snakeCase } from './snake-case.js'
import { clean, jsonLine } from './terminal.js'

interface Flags extends CallFlags, Omit<ConnectionFlags, 'server'> {
  readonly policies: string
  readonly server?: string
  readonly explain?: boolean
  readonly approvalId?: string
  readonly wantReceipt?: boolean
  readonly exitCode?: boolean
  readonly json?: boolean
}

export function decideCommand(io: Io, end: (code: ExitCode) => void): Command {
  const command = new Command('decide').description(
    'answer one call given by flags, or requests as NDJSON from standard input, one answer a line in their order',
  )
  return withCredential(addDecisionOptions(addCallOptions(command)))
    .addOption(
      new Option(
        '--server <host:port>',
        'ask a running server, which records its decisions, instead of the folder',
      ).argParser(hostPort),
    )
    .option('--approval-id <id>', 'the approval that the call carries out; with --server')
    .option('--want-receipt', 'ask for a signed receipt with an ALLOW; with --server')
    .option('--explain', 'add near misses to every answer')
    .option('--exit-code', 'exit 1 unless every answer is ALLOW')
    .option('--json', 'print the answer to one call as JSON; NDJSON requests are always answered so')
    .action(async (flags: Flags) => end(await run(io, flags)))
}

async function run(io: Io, flags: Flags): Promise<ExitCode> {
  const single = flags.tool === undefined ? null : requestOf(flags, flags.explain === true)
  if (single === null && io.stdin.isTTY === true) {
    throw new UsageError('--tool is missing; or give requests as NDJSON on standard input')
  }
  if (flags.server === undefined && (flags.approvalId !== undefined || flags.wantReceipt === true)) {
    throw new UsageError('--approval-id and --want-receipt need --server: only a server keeps approvals and signs')
  }
  const decider = await (flags.server === undefined
    ? folderDecider(io, flags)
    : serverDecider({ ...flags, server: flags.server }))
  try {
    return single === null
      ? await decideLines(io, flags, decider)
      : await decideOne(io, flags, decider, withFlags(single, flags))
  } finally {
    decider.close()
  }
}

/** Answers requests as `DecideResponse` in JSON, from a folder or from a server. */
interface Decider {
  decide(request: DecideRequest): Answer | Promise<Answer>
  close(): void
}
interface Answer {
  readonly outcome: Outcome
  readonly reason: string
  readonly json: unknown
}

async function folderDecider(io: Io, flags: Flags): Promise<Decider> {
  const set = policySetOf(await goodBundle(flags.policies, io.err), flags.tenant)
  return {
    decide(request) {
      const decision = decideAsServer(request, flags.now ?? Date.now(), set)
      return { ...decision, json: responseJson(decision, request.call.requestId) }
    },
    close() {},
  }
}

async function serverDecider(flags: Flags & ConnectionFlags): Promise<Decider> {
  if (flags.now !== undefined) throw new UsageError('--now and --server do not go together: a server has its own clock')
  const client = await serverClient(flags)
  return {
    async decide({ call, explain, expectedPolicyRevision, dryRun, approvalId, wantReceipt }) {
      const { requestId, agent, principal, sessionId, delegationChain, tool, environment } = call
      const request = {
        requestId,
        agent,
        ...(principal === null ? {} : { principal }),
        sessionId,
        delegationChain,
        tool,
        environment,
        arguments: canonicalJson(call.arguments),
        context: canonicalJson(call.context),
        expectedPolicyRevision,
        explain,
        dryRun,
        approvalId,
        wantReceipt,
      }
      const response = await client.ask((server) => server.decide(request))
      const { outcome, reason, reasonCode, ...rest } = response
      // In the order of the folder's answers; protobuf puts lists first.
      return { outcome, reason, json: snakeCase({ outcome, reason, reasonCode, ...rest }) }
    },
    close: () => client.close(),
  }
}

/** Where a server waits for people: what to send with the call once they decided. */
function approvalOf(json: unknown): string {
  const { approval } = json as { readonly approval?: { readonly approval_id?: string } | null }
  return approval?.approval_id ? `\napproval ${approval.approval_id}` : ''
}

/** What the flags say beside the call. */
function withFlags(request: DecideRequest, { approvalId = '', wantReceipt = false }: Flags): DecideRequest {
  return { ...request, approvalId, wantReceipt }
}

async function decideOne(io: Io, flags: Flags, decider: Decider, request: DecideRequest): Promise<ExitCode> {
  const { outcome, reason, json } = await decider.decide(request)
  const asJson = flags.json === true || flags.explain === true
  await io.out.write(
    asJson ? jsonLine(json) : `${paintOutcome(outcome, io.out)}  ${clean(reason)}${approvalOf(json)}\n`,
  )
  return flags.exitCode === true && outcome !== 'ALLOW' ? 1 : 0
}

async function decideLines(io: Io, flags: Flags, decider: Decider): Promise<ExitCode> {
  let refused = false
  let bad = false
  for await (const line of lines(io.stdin)) {
    const answer = await answerLine(line, flags, decider)
    if ('error' in answer) bad = true
    else if (answer.outcome !== 'ALLOW') refused = true
    await io.out.write(jsonLine('error' in answer ? answer : answer.json))
  }
  return bad || (refused && flags.exitCode === true) ? 1 : 0
}

/** What stands in the place of an answer to a line that is no request. `line` counts from 1. */
interface LineError {
  readonly error: { readonly line: number; readonly code: 'INVALID_ARGUMENT'; readonly message: string }
  readonly request_id?: string
}

async function answerLine({ number, bytes }: InputLine, flags: Flags, decider: Decider): Promise<Answer | LineError> {
  const error = (message: string): LineError => ({ error: { line: number, code: 'INVALID_ARGUMENT', message } })
  if (bytes === null) return error(`the line is longer than ${MAX_LINE_BYTES} bytes`)
  let json: JsonObject = {}
  try {
    json = parseJsonObject(bytes, { maxBytes: MAX_LINE_BYTES, maxDepth: JSON_LIMITS.maxDepth + 1 })
    const request = readRequest(json, flags.tenant)
    return await decider.decide({ ...request, explain: request.explain || flags.explain === true })
  } catch (cause) {
    if (!(cause instanceof JsonError || cause instanceof RequestError)) throw cause
    const id = json['request_id']
    return { ...error(cause.message), ...(typeof id === 'string' ? { request_id: id } : {}) }
  }
}

/** A pinned revision included. */
function decideAsServer(request: DecideRequest, nowMs: number, set: PolicySet): Decision {
  const decision = decide(request.call, { nowMs }, set, { explain: request.explain })
  const expected = request.expectedPolicyRevision
  if (expected === '' || expected === decision.policyRevision) return decision
  return {
    outcome: 'DENY',
    reasonCode: 'POLICY_REVISION_MISMATCH',
    reason: `the live policies are ${decision.policyRevision}, not the expected revision`,
    matched: [],
    monitored: [],
    obligations: [],
    approvals: [],
    nearMisses: [],
    policyRevision: decision.policyRevision,
  }
}

/** The limits that the proto promises. Over them a call fails with LIMIT_EXCEEDED that names field and limit. */
export const LIMITS = {
  /** Names, ids, label keys and values, in UTF-8 bytes. */
  nameBytes: 256,
  requestIdBytes: 128,
  labels: 32,
  delegationChain: 16,
  /** Arguments and context, each: bytes of their JSON text. */
  jsonBytes: 256 * 1024,
  /** Levels of arguments and context. */
  jsonDepth: 64,
  batchCalls: 1_000,
  /** Comments of people and reasons that they give. */
  commentBytes: 4_096,
  messageBytes: 4 * 1024 * 1024,
  /** Rows of one ranking or page of audit events. */
  auditRows: 100,
  tailEvents: 1_000,
} as const

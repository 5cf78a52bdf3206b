/** One step of the schema; applied once, in order, and never edited after a release. `db` is the database's name. */
export interface Migration {
  readonly version: number
  readonly name: string
  readonly statements: (db: string) => readonly string[]
}

/**
 * What every engine syncs: an insert is on the disk before it is acknowledged, and a merge before its sources go.
 * Deduplication by token is left out: a token is logged before its rows are, so after a crash between the two a retry is
 * swallowed. The shipper reads back by sequence number instead.
 */
const DURABLE = [
  'old_parts_lifetime = 480',
  'fsync_after_insert = 1',
  'fsync_part_directory = 1',
  'min_rows_to_fsync_after_merge = 1',
  'min_compressed_bytes_to_fsync_after_merge = 1',
].join(', ')

const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'events and dead letters',
    statements: (db) => [
      `CREATE TABLE IF NOT EXISTS ${db}.events (
  event_id UUID, writer_id LowCardinality(String), seq UInt64 CODEC(Delta, ZSTD), schema_v UInt8,
  retention_days UInt16 DEFAULT 2557, ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD), kind LowCardinality(String),
  tenant LowCardinality(String), environment LowCardinality(String), agent_id LowCardinality(String),
  principal LowCardinality(String), session_id String CODEC(ZSTD), request_id String CODEC(ZSTD),
  delegation_chain Array(LowCardinality(String)), tool LowCardinality(String),
  outcome Enum8('NONE' = 0, 'ALLOW' = 1, 'DENY' = 2, 'REQUIRE_APPROVAL' = 3),
  reason_code LowCardinality(String), reason String CODEC(ZSTD),
  rule_id LowCardinality(String), policy LowCardinality(String), rule_description LowCardinality(String),
  rule_ids Array(LowCardinality(String)), policies Array(LowCardinality(String)), effects Array(LowCardinality(String)),
  monitored_rule_ids Array(LowCardinality(String)), indeterminate Bool, violation Bool,
  policy_revision LowCardinality(String), arguments String CODEC(ZSTD(3)), arguments_bytes UInt32 CODEC(T64, ZSTD),
  arguments_hash String CODEC(ZSTD), redactions UInt16, evaluation_ns UInt32 CODEC(T64, ZSTD),
  stored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD), attrs Map(LowCardinality(String), String),
  INDEX i_event event_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX i_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX i_agent agent_id TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX i_rules rule_ids TYPE bloom_filter(0.01) GRANULARITY 1,
  INDEX i_seq seq TYPE minmax GRANULARITY 1
) ENGINE = MergeTree
PARTITION BY (retention_days, if(retention_days <= 90, toYYYYMMDD(ts), toYYYYMM(ts) * 100))
ORDER BY (tenant, ts)
TTL toDateTime(ts) + toIntervalDay(retention_days) DELETE
SETTINGS ttl_only_drop_parts = 1, ${DURABLE}`,
      `CREATE TABLE IF NOT EXISTS ${db}.dead_letter (
  at DateTime64(3, 'UTC') DEFAULT now64(3), writer_id LowCardinality(String), seq UInt64, seq_to UInt64,
  raw String CODEC(ZSTD(3)), error String
) ENGINE = ReplacingMergeTree ORDER BY (writer_id, seq) SETTINGS ${DURABLE}`,
    ],
  },
  {
    version: 2,
    name: 'first views',
    statements: (db) => [
      `CREATE VIEW IF NOT EXISTS ${db}.violations AS
SELECT ts, tenant, environment, agent_id, principal, session_id, tool, outcome, reason_code, reason, rule_id, policy,
  rule_description, rule_ids, arguments, event_id
FROM ${db}.events WHERE kind = 'decision' AND violation`,
      `CREATE VIEW IF NOT EXISTS ${db}.decisions_daily AS
SELECT tenant, toDate(ts) AS day, environment, count() AS decisions, countIf(outcome = 'ALLOW') AS allowed,
  countIf(outcome = 'REQUIRE_APPROVAL') AS require_approval, countIf(outcome = 'DENY') AS denied,
  countIf(violation) AS violations, uniqExact(agent_id) AS agents, uniqExact(tool) AS tools
FROM ${db}.events WHERE kind = 'decision' GROUP BY tenant, day, environment`,
      `CREATE VIEW IF NOT EXISTS ${db}.rules_daily AS
SELECT tenant, toDate(ts) AS day, policy, rule_id, any(rule_description) AS description, tool, count() AS violations,
  uniqExact(agent_id) AS agents
FROM ${db}.events WHERE kind = 'decision' AND violation GROUP BY tenant, day, policy, rule_id, tool`,
      `CREATE VIEW IF NOT EXISTS ${db}.agents_daily AS
SELECT tenant, toDate(ts) AS day, agent_id, count() AS decisions, countIf(violation) AS violations,
  countIf(outcome = 'DENY') AS denied, violations / decisions AS violation_rate
FROM ${db}.events WHERE kind = 'decision' GROUP BY tenant, day, agent_id`,
      `CREATE VIEW IF NOT EXISTS ${db}.integrity AS
SELECT writer_id, min(seq) AS first_seq, max(seq) AS last_seq, count() AS stored, uniqExact(seq) AS distinct_seqs,
  last_seq - first_seq + 1 - distinct_seqs AS gaps, stored - distinct_seqs AS duplicates, max(ts) AS last_event
FROM ${db}.events GROUP BY writer_id`,
    ],
  },
  {
    version: 3,
    name: 'what a row leaves out',
    statements: (db) => [
      `ALTER TABLE ${db}.events MODIFY COLUMN schema_v UInt8 DEFAULT 1,
  MODIFY COLUMN kind LowCardinality(String) DEFAULT 'decision',
  MODIFY COLUMN arguments_bytes UInt32 DEFAULT length(arguments) CODEC(T64, ZSTD),
  ADD COLUMN IF NOT EXISTS arguments_sha256 String ALIAS if(arguments_hash = '', lower(hex(SHA256(arguments))), arguments_hash)`,
    ],
  },
  {
    version: 4,
    name: 'roll-ups',
    statements: (db) => [
      // Rows of a version that `spans` does not name as closed count for nothing: a closing that was cut short, or was repeated.
      `CREATE TABLE IF NOT EXISTS ${db}.spans (
  seconds UInt32, start DateTime('UTC'), version UInt64, closed UInt8
) ENGINE = ReplacingMergeTree ORDER BY (seconds, start, version, closed)
TTL start + toIntervalDay(2557) DELETE SETTINGS ${DURABLE}`,
      `CREATE TABLE IF NOT EXISTS ${db}.total_spans (
  tenant LowCardinality(String), seconds UInt32, start DateTime('UTC'), version UInt64,
  decisions UInt64, allowed UInt64, require_approval UInt64, denied UInt64
) ENGINE = MergeTree ORDER BY (tenant, seconds, start) TTL start + toIntervalDay(2557) DELETE SETTINGS ${DURABLE}`,
      `CREATE TABLE IF NOT EXISTS ${db}.agent_spans (
  tenant LowCardinality(String), seconds UInt32, start DateTime('UTC'), agent_id LowCardinality(String), version UInt64,
  decisions UInt64, allowed UInt64, require_approval UInt64, denied UInt64, violations UInt64
) ENGINE = MergeTree PARTITION BY toYYYYMM(start) ORDER BY (tenant, seconds, start, agent_id)
TTL start + toIntervalDay(2557) DELETE SETTINGS ttl_only_drop_parts = 1, ${DURABLE}`,
      `CREATE TABLE IF NOT EXISTS ${db}.rule_spans (
  tenant LowCardinality(String), seconds UInt32, start DateTime('UTC'), policy LowCardinality(String),
  rule LowCardinality(String), version UInt64, violations UInt64, agents AggregateFunction(uniqExact, UInt64),
  description LowCardinality(String), last_ts DateTime64(3, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(start) ORDER BY (tenant, seconds, start, policy, rule)
TTL start + toIntervalDay(2557) DELETE SETTINGS ttl_only_drop_parts = 1, ${DURABLE}`,
    ],
  },
  {
    version: 5,
    name: 'agents of rules',
    statements: (db) => [
      // Sets are most of what a rule's sums weigh, and are asked for a few rules only: sorted by rule, in small granules.
      `CREATE TABLE IF NOT EXISTS ${db}.rule_agent_spans (
  tenant LowCardinality(String), seconds UInt32, policy LowCardinality(String), rule LowCardinality(String), start DateTime('UTC'),
  version UInt64, agents AggregateFunction(uniqExact, UInt64)
) ENGINE = MergeTree PARTITION BY toYYYYMM(start) ORDER BY (tenant, seconds, policy, rule, start)
TTL start + toIntervalDay(2557) DELETE SETTINGS index_granularity = 64, ttl_only_drop_parts = 1, ${DURABLE}`,
      // Done twice it adds sets to themselves, which changes none.
      `INSERT INTO ${db}.rule_agent_spans (tenant, seconds, policy, rule, start, version, agents) SETTINGS async_insert = 0
SELECT tenant, seconds, policy, rule, start, version, agents FROM ${db}.rule_spans`,
    ],
  },
  {
    // Not in one with the copy, which needs the column when it is done again.
    version: 6,
    name: 'agents of rules, moved',
    statements: (db) => [`ALTER TABLE ${db}.rule_spans DROP COLUMN IF EXISTS agents`],
  },
  {
    version: 7,
    name: 'control events',
    statements: (db) => [
      `ALTER TABLE ${db}.events ADD COLUMN IF NOT EXISTS approval_id String ALIAS attrs['approval_id'],
  ADD INDEX IF NOT EXISTS i_kind kind TYPE set(32) GRANULARITY 1`,
      // An event that a killed server handed over twice is two rows of one id, and all that is asked of it is the same in both.
      `CREATE VIEW IF NOT EXISTS ${db}.control_events AS
SELECT e.tenant AS tenant, e.ts AS ts, e.kind AS kind, e.event_id AS event_id, any(e.attrs['subject']) AS subject,
  any(e.attrs['actor']) AS actor, any(e.reason) AS why, any(e.attrs['state']) AS state,
  any(e.attrs['shown_digest']) AS shown_digest, any(e.agent_id) AS agent_id, any(e.tool) AS tool
FROM ${db}.events AS e WHERE e.kind NOT IN ('decision', 'quarantined') GROUP BY tenant, ts, kind, event_id`,
    ],
  },
]

/**
 * Applies what the database lacks. Two processes that do so at once both succeed: every statement is IF NOT EXISTS.
 *
 * @param run executes one statement and returns its rows.
 * @param databaseEngine ` ENGINE = Atomic` for the embedded engine, whose default lacks what is used here.
 */
export async function migrate(
  db: string,
  run: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>,
  databaseEngine = '',
): Promise<void> {
  await run(`CREATE DATABASE IF NOT EXISTS ${db}${databaseEngine}`)
  await run(
    `CREATE TABLE IF NOT EXISTS ${db}.migrations (version UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) ` +
      `ENGINE = ReplacingMergeTree ORDER BY version SETTINGS ${DURABLE}`,
  )
  const rows = await run(`SELECT version FROM ${db}.migrations FINAL`)
  const applied = new Set(rows.map((row) => Number(row['version'])))
  for (const migration of MIGRATIONS) {
    if (applied.has(migration.version)) continue
    for (const statement of migration.statements(db)) await run(statement)
    await run(
      `INSERT INTO ${db}.migrations (version, name) SETTINGS async_insert = 0 VALUES (${migration.version}, '${migration.name}')`,
    )
  }
}

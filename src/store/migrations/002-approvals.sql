-- Requests for approval. `doc` is the request whole, canonical JSON as text: jsonb would round large numbers and refuse
-- the character U+0000. The columns beside it are what queries ask for, and repeat it.
CREATE TABLE approvals (
  id            uuid PRIMARY KEY,
  tenant        text NOT NULL,
  version       integer NOT NULL CHECK (version > 0),
  state         text NOT NULL CHECK (state IN ('PENDING', 'APPROVED', 'CONSUMED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'GRANT_EXPIRED', 'REVOKED')),
  -- Of the call as the agent gave it, and as a reviewer left it.
  asked_digest  text NOT NULL,
  digest        text NOT NULL,
  agent         text NOT NULL,
  principal     text NOT NULL,
  session_id    text NOT NULL,
  delegators    text[] NOT NULL,
  tool          text NOT NULL,
  environment   text NOT NULL,
  rule_ids      text[] NOT NULL,
  reason        text NOT NULL,
  -- Whose vote is missing now.
  roles         text[] NOT NULL,
  created_at    timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL,
  -- When people decided; null while they did not, and where the clock or a kill switch did.
  decided_at    timestamptz,
  ended_at      timestamptz,
  -- A broken glass that nobody has reviewed.
  unreviewed    boolean NOT NULL,
  next_timer_at timestamptz,
  doc           text NOT NULL
);
-- However often an agent asks, one request waits for the same call.
CREATE UNIQUE INDEX approvals_waiting ON approvals (tenant, asked_digest) WHERE state = 'PENDING';
CREATE INDEX approvals_asked ON approvals (tenant, asked_digest);
CREATE INDEX approvals_alive ON approvals (tenant, digest) WHERE state IN ('PENDING', 'APPROVED');
CREATE INDEX approvals_agent ON approvals (tenant, agent, created_at);
CREATE INDEX approvals_agent_waiting ON approvals (tenant, agent) WHERE state = 'PENDING';
CREATE INDEX approvals_newest ON approvals (tenant, created_at, id);
CREATE INDEX approvals_due ON approvals (next_timer_at) WHERE next_timer_at IS NOT NULL;

CREATE TABLE approval_events (
  approval_id  uuid NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
  version      integer NOT NULL,
  tenant       text NOT NULL,
  kind         text NOT NULL,
  at           timestamptz NOT NULL,
  actor        text NOT NULL,
  why          text NOT NULL,
  state        text NOT NULL,
  shown_digest text NOT NULL,
  -- Of kind `voted`.
  verdict      text CHECK (verdict IN ('approve', 'reject')),
  -- Null until it is in the audit.
  audited_at   timestamptz,
  PRIMARY KEY (approval_id, version)
);
CREATE INDEX approval_events_unaudited ON approval_events (at) WHERE audited_at IS NULL;
CREATE INDEX approval_events_votes ON approval_events (tenant, at) WHERE kind = 'voted';

CREATE TABLE grants (
  id          uuid PRIMARY KEY,
  tenant      text NOT NULL,
  agent       text NOT NULL,
  principal   text NOT NULL,
  tool        text NOT NULL,
  environment text NOT NULL,
  approval_id uuid NOT NULL,
  created_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL,
  most_uses   integer CHECK (most_uses > 0),
  uses        integer NOT NULL DEFAULT 0 CHECK (uses >= 0 AND (most_uses IS NULL OR uses <= most_uses)),
  revoked_at  timestamptz,
  revoked_by  text NOT NULL DEFAULT '',
  revoked_why text NOT NULL DEFAULT '',
  -- Scope and votes, canonical JSON.
  doc         text NOT NULL
);
CREATE INDEX grants_live ON grants (tenant, agent, tool) WHERE revoked_at IS NULL;

CREATE TABLE delegations (
  id          uuid PRIMARY KEY,
  tenant      text NOT NULL,
  from_person text NOT NULL,
  to_person   text NOT NULL,
  -- Empty: every role.
  role        text NOT NULL,
  -- What the lender held when lending; asked only where no directory of persons is at hand.
  held        text NOT NULL,
  from_at     timestamptz NOT NULL,
  until_at    timestamptz NOT NULL CHECK (until_at > from_at),
  revoked_at  timestamptz
);
CREATE INDEX delegations_to ON delegations (tenant, to_person) WHERE revoked_at IS NULL;

-- What other systems are to be told, written in the transaction that brought it about. Senders mark rows done or dead.
CREATE TABLE outbox (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant     text NOT NULL,
  kind       text NOT NULL,
  dedupe_key text NOT NULL UNIQUE,
  payload    jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts   integer NOT NULL DEFAULT 0,
  done_at    timestamptz,
  dead_at    timestamptz,
  last_error text NOT NULL DEFAULT ''
);
CREATE INDEX outbox_due ON outbox (next_at) WHERE done_at IS NULL AND dead_at IS NULL;

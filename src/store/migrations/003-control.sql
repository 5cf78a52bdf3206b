-- What every instance knows by heart: keys, kill switches, the keys of receipts; and which instances there are.

CREATE TABLE api_keys (
  key_id         text PRIMARY KEY CHECK (key_id ~ '^[0-9A-Za-z]{16}$'),
  tenant         text NOT NULL CHECK (tenant <> ''),
  subject        text NOT NULL CHECK (subject <> ''),
  roles          text[] NOT NULL CHECK (cardinality(roles) > 0),
  approver_roles text[] NOT NULL,
  attributes     jsonb NOT NULL,
  labels         jsonb NOT NULL,
  owner          text NOT NULL,
  -- HMAC-SHA256 of the whole key, with the pepper of that id.
  digest         bytea NOT NULL CHECK (octet_length(digest) = 32),
  pepper_id      text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_by     text NOT NULL,
  expires_at     timestamptz NOT NULL,
  revoked_at     timestamptz,
  revoked_by     text NOT NULL DEFAULT '',
  revoked_why    text NOT NULL DEFAULT '',
  -- To the hour.
  last_used_at   timestamptz
);
CREATE INDEX api_keys_subject ON api_keys (tenant, subject);

CREATE TABLE kill_switches (
  id                  uuid PRIMARY KEY,
  scope               text NOT NULL
                      CHECK (scope IN ('fleet', 'tenant', 'agent', 'team', 'session', 'tool', 'delegation')),
  tenant              text NOT NULL CHECK ((tenant = '') = (scope = 'fleet')),
  target              text NOT NULL CHECK ((target = '') = (scope IN ('fleet', 'tenant'))),
  reason              text NOT NULL CHECK (reason <> ''),
  engaged_by          text NOT NULL,
  engaged_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The epoch in which it is engaged: an instance that serves this one or a later one denies by it.
  epoch               bigint NOT NULL,
  approvals_ended     integer NOT NULL DEFAULT 0,
  grants_revoked      integer NOT NULL DEFAULT 0,
  release_asked_by    text NOT NULL DEFAULT '',
  release_reason      text NOT NULL DEFAULT '',
  released_by         text NOT NULL DEFAULT '',
  released_at         timestamptz,
  -- Two persons release.
  CHECK (released_at IS NULL OR (release_asked_by <> '' AND released_by <> '' AND released_by <> release_asked_by))
);
CREATE UNIQUE INDEX kill_switches_engaged ON kill_switches (scope, tenant, target) WHERE released_at IS NULL;

CREATE TABLE receipt_keys (
  key_id      text PRIMARY KEY,
  -- Ed25519, raw.
  public_key  bytea NOT NULL CHECK (octet_length(public_key) = 32),
  -- AES-256-GCM under a key derived from the pepper of that id.
  sealed_key  bytea NOT NULL,
  pepper_id   text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  retired_at  timestamptz,
  withdrawn_at timestamptz
);

CREATE TABLE instances (
  instance   text PRIMARY KEY,
  -- What it serves by.
  epoch      bigint NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What was done to kill switches, keys, grants and lent seats, written in the transaction that did it and carried into the
-- audit from here. Approvals have approval_events, which is carried likewise.
CREATE TABLE control_events (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant     text NOT NULL,
  kind       text NOT NULL CHECK (kind ~ '^[a-z]+\.[a-z-]+$'),
  subject    text NOT NULL,
  at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor      text NOT NULL,
  why        text NOT NULL,
  state      text NOT NULL,
  agent      text NOT NULL,
  tool       text NOT NULL,
  -- Null until it is in the audit.
  audited_at timestamptz
);
CREATE INDEX control_events_unaudited ON control_events (at) WHERE audited_at IS NULL;

-- What this schema consists of; written by migrate.ts, in the transaction of each migration.
CREATE TABLE schema_migrations (
  version    integer PRIMARY KEY CHECK (version > 0),
  name       text NOT NULL,
  -- SHA-256 of the migration's text, hexadecimal.
  checksum   text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Counts the changes of control state (kill switches, grants, live policies) that every instance has to confirm.
CREATE TABLE control_epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch    bigint NOT NULL CHECK (epoch >= 0)
);

INSERT INTO control_epoch (epoch) VALUES (0);

-- One row for each thing in the outbox and each channel it goes through, so that a channel that fails holds up no other.
-- A row that is neither done nor dead is sent when `next_at` has come; whoever takes it moves `next_at` ahead by a lease.
CREATE TABLE deliveries (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  outbox_id  bigint NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
  channel    text NOT NULL,
  tenant     text NOT NULL,
  -- What it is about, such as an approval's id; empty for nothing.
  subject    text NOT NULL,
  -- When the first try was due; anew when it is sent again at somebody's wish.
  queued_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts   integer NOT NULL DEFAULT 0,
  replays    integer NOT NULL DEFAULT 0,
  -- Of the try that is under way: who lost it to another one records nothing.
  lease      uuid,
  -- What the channel calls the message that was sent.
  remote     text NOT NULL DEFAULT '',
  done_at    timestamptz,
  dead_at    timestamptz,
  last_error text NOT NULL DEFAULT '',
  UNIQUE (outbox_id, channel)
);
CREATE INDEX deliveries_due ON deliveries (channel, next_at) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX deliveries_dead ON deliveries (tenant, dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX deliveries_subject ON deliveries (channel, subject, outbox_id) WHERE subject <> '';

-- Messages to others: what waits to be sent, what came before, and whom people let write to them. Times are Unix
-- milliseconds. Runs as one transaction.

-- One row for each recipient of a message that is not in a final state; the message itself is a frame of mmm_Outbound. The
-- row is deleted in the transaction of the mark that says how it ended.
CREATE TABLE outbox (
  id              bigint  PRIMARY KEY CHECK (id > 0),
  container_id    bigint  NOT NULL,
  frame_index     bigint  NOT NULL CHECK (frame_index >= 0),
  sender          text    NOT NULL CHECK (sender <> ''),
  recipient       text    NOT NULL CHECK (recipient <> ''),
  domain          text    NOT NULL CHECK (domain <> ''),
  -- Messages to one recipient stay in one lane, and so in order.
  lane            integer NOT NULL CHECK (lane >= 0),
  message_id      text    NOT NULL CHECK (message_id <> ''),
  message_bytes   integer NOT NULL CHECK (message_bytes > 0),
  queued_at_ms    bigint  NOT NULL CHECK (queued_at_ms > 0),
  expires_at_ms   bigint  NOT NULL CHECK (expires_at_ms > queued_at_ms),
  attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  last_failure    text    NOT NULL DEFAULT '',
  lease_owner     text,
  lease_until_ms  bigint,
  CHECK ((lease_owner IS NULL) = (lease_until_ms IS NULL)),
  UNIQUE (container_id, frame_index, recipient)
) WITH (fillfactor = 80);
CREATE INDEX outbox_lane ON outbox (domain, lane, id);
-- Few at any time: who leases looks whose turn it is.
CREATE INDEX outbox_leased ON outbox (domain, lane) WHERE lease_owner IS NOT NULL;
CREATE INDEX outbox_expiry ON outbox (expires_at_ms);

-- What is known of a domain that messages go to. No row: never tried, healthy.
CREATE TABLE destination (
  domain            text    PRIMARY KEY CHECK (domain <> ''),
  failures          integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
  failing_since_ms  bigint,
  last_failure      text    NOT NULL DEFAULT '',
  last_failure_ms   bigint  NOT NULL DEFAULT 0,
  last_success_ms   bigint  NOT NULL DEFAULT 0,
  next_attempt_ms   bigint  NOT NULL DEFAULT 0,
  -- By an operator: nothing is sent until it is released.
  held              boolean NOT NULL DEFAULT false,
  CHECK ((failures = 0) = (failing_since_ms IS NULL))
);

-- Messages taken, so that a repetition gets the answer of the first time and no second frame (S73). The identity is a digest
-- of signer key and core. By address and not by account: names that nobody has are remembered like others (S80).
CREATE TABLE message_seen (
  recipient    text   NOT NULL CHECK (recipient <> ''),
  identity     bytea  NOT NULL CHECK (octet_length(identity) = 32),
  seen_at_ms   bigint NOT NULL CHECK (seen_at_ms > 0),
  -- Of the receipt given then.
  receipt_id   text   NOT NULL,
  PRIMARY KEY (recipient, identity)
);
CREATE INDEX message_seen_age ON message_seen (seen_at_ms);

-- Whom a person lets write, as the newest entry of each contact says (semantics 8.3). Derived from frames of mmm_Contact, in
-- the transaction of the frame.
CREATE TABLE contact_permission (
  recipient    text NOT NULL CHECK (recipient <> ''),
  -- Key of the entry in the catalog.
  unique_id    text NOT NULL,
  -- UDF of the contact's ProfileAccount, once it is known, and the contact's address.
  account_udf  text,
  address      text,
  -- Message types with commas between them, * for all, - for none.
  permissions  text NOT NULL,
  PRIMARY KEY (recipient, unique_id),
  CHECK (account_udf IS NOT NULL OR address IS NOT NULL)
);

-- Devices without display or keys (semantics 7.6): what accounts publish, and offers that wait for devices. Times are Unix
-- milliseconds. Runs as one transaction.

-- An offer of connection that lies in mmm_Inbound of a hailing account, until the device has had time to come for it.
CREATE TABLE connection_offer (
  account_id     bigint  NOT NULL REFERENCES account,
  device_udf     text    NOT NULL CHECK (device_udf <> ''),
  frame_index    bigint  NOT NULL CHECK (frame_index > 0),
  expires_at_ms  bigint  NOT NULL CHECK (expires_at_ms > 0),
  PRIMARY KEY (account_id, device_udf, frame_index)
);
CREATE INDEX connection_offer_expiry ON connection_offer (expires_at_ms);

-- Entries of mmm_Publication that have changed and whose state is still to be handed to the shard of their identifier.
-- Written in the transaction of the frame. What they say now, the catalog knows.
CREATE TABLE publication_due (
  account_id      bigint  NOT NULL REFERENCES account,
  identifier      text    NOT NULL CHECK (identifier <> ''),
  changed_at_ms   bigint  NOT NULL CHECK (changed_at_ms > 0),
  lease_until_ms  bigint  NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, identifier)
) WITH (fillfactor = 80);

-- What is served here, by identifier, whichever shard has the account.
CREATE TABLE publication (
  identifier     text    PRIMARY KEY CHECK (identifier <> ''),
  account        text    NOT NULL CHECK (account <> ''),
  changed_at_ms  bigint  NOT NULL CHECK (changed_at_ms > 0),
  -- Null: withdrawn. Remembered for a day, so that no late worker brings back what was there before.
  payload        bytea   CHECK (octet_length(payload) <= 65536)
);
CREATE INDEX publication_withdrawn ON publication (changed_at_ms) WHERE payload IS NULL;
-- Ciphertext: never compressed.
ALTER TABLE publication ALTER COLUMN payload SET STORAGE EXTERNAL;

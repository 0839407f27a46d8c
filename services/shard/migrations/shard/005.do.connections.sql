-- Devices that ask to be connected. Times are Unix milliseconds. Runs as one transaction.

-- One row for each device that has asked: written with the AcknowledgeConnection of mmm_Inbound, deleted when the device
-- has acted under its new keys for the first time, and some time after nobody answered.
CREATE TABLE connection_request (
  account_id          bigint  NOT NULL REFERENCES account,
  device_udf          text    NOT NULL CHECK (device_udf <> ''),
  -- The base key by which the device asks what became of its request.
  key_authentication  bytea   NOT NULL CHECK (octet_length(key_authentication) = 57),
  -- UniqueID of the acknowledgement.
  message_id          text    NOT NULL CHECK (message_id <> ''),
  status              text    NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
  -- Frames of mmm_Device when it asked: an entry before them is one of an earlier connection.
  catalog_from        bigint  NOT NULL CHECK (catalog_from >= 0),
  -- Frame of mmm_Inbound with the administrator's challenge.
  challenge_index     bigint  CHECK (challenge_index > 0),
  revealed            boolean NOT NULL,
  expires_at_ms       bigint  NOT NULL CHECK (expires_at_ms > 0),
  PRIMARY KEY (account_id, device_udf)
);

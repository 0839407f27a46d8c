-- Large data by reference: files that an account's owner keeps here, sealed, until their recipients have fetched them. Times
-- are Unix milliseconds. Runs as one transaction.

-- A file is fetched once it is complete, and until it expires; then its slices are deleted, a few at a time, and the row last.
CREATE TABLE large_file (
  id             bigint PRIMARY KEY CHECK (id > 0),
  account_id     bigint NOT NULL REFERENCES account,
  identifier     text   NOT NULL CHECK (identifier <> ''),
  -- Raw key of those who may fetch it.
  reader         bytea  NOT NULL CHECK (octet_length(reader) = 57),
  bytes_total    bigint NOT NULL CHECK (bytes_total > 0),
  bytes_stored   bigint NOT NULL DEFAULT 0 CHECK (bytes_stored BETWEEN 0 AND bytes_total),
  -- How long it is kept from its completion.
  kept_ms        bigint NOT NULL CHECK (kept_ms > 0),
  -- 0: withdrawn.
  expires_at_ms  bigint NOT NULL CHECK (expires_at_ms >= 0),
  UNIQUE (account_id, identifier)
) WITH (fillfactor = 70);
CREATE INDEX large_file_expiry ON large_file (expires_at_ms);

-- No foreign key: a slice is written in the statement that moves its file on. Ciphertext: never compressed.
CREATE TABLE large_slice (
  file_id   bigint NOT NULL,
  -- Place of its first octet in the file.
  start_at  bigint NOT NULL CHECK (start_at >= 0),
  octets    bytea  NOT NULL CHECK (octet_length(octets) BETWEEN 1 AND 1048576),
  PRIMARY KEY (file_id, start_at)
);
ALTER TABLE large_slice ALTER COLUMN octets SET STORAGE EXTERNAL;

CREATE FUNCTION large_slice_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'slices are never changed' USING ERRCODE = 'MD004';
END $$;
CREATE TRIGGER large_slice_never_changes BEFORE UPDATE ON large_slice
  FOR EACH STATEMENT EXECUTE FUNCTION large_slice_refuse_change();

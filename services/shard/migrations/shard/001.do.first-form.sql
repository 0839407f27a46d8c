-- The database of one shard. Octet columns hold what was received or computed; text columns only hold names that the
-- service itself has checked. Times are Unix milliseconds, sizes octets, indexes count from zero.

-- Numbers for rows are handed out in blocks, so that a whole request can be written without asking for them.
CREATE SEQUENCE row_number_block MINVALUE 1 START 1 INCREMENT 1024;

-- Who may write. A writing transaction locks the row with its own epoch (FOR KEY SHARE); a takeover changes the epoch,
-- which is part of a unique key, and therefore waits for such transactions and is never overtaken by one. Renewals
-- touch no key column and wait for nobody.
CREATE TABLE shard_lease (
  name        text        PRIMARY KEY,
  epoch       bigint      NOT NULL CHECK (epoch > 0),
  owner       text        NOT NULL,
  renewed_at  timestamptz NOT NULL,
  UNIQUE (name, epoch)
);

CREATE FUNCTION lease_expect(shard text, epoch_held bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM shard_lease WHERE name = shard AND epoch = epoch_held FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'shard % is not held at epoch %', shard, epoch_held USING ERRCODE = 'MD001';
  END IF;
END $$;

-- One row an account. A deleted one keeps its row (and its stores) until purge_after_ms.
CREATE TABLE account (
  id                      bigint  PRIMARY KEY CHECK (id > 0),
  address                 text    NOT NULL CHECK (address <> ''),
  status                  text    NOT NULL CHECK (status IN ('connected', 'pending')),
  mesh_udf                text    NOT NULL,
  account_udf             text    NOT NULL,
  profile_mesh_header     bytea   NOT NULL,
  profile_mesh_payload    bytea   NOT NULL,
  profile_mesh_trailer    bytea,
  profile_account_header  bytea   NOT NULL,
  profile_account_payload bytea   NOT NULL,
  profile_account_trailer bytea,
  mesh_offline_key        bytea   NOT NULL CHECK (octet_length(mesh_offline_key) = 57),
  mesh_online_keys        bytea[] NOT NULL,
  account_offline_key     bytea   NOT NULL CHECK (octet_length(account_offline_key) = 57),
  account_online_keys     bytea[] NOT NULL,
  mesh_updated_ms         bigint  NOT NULL CHECK (mesh_updated_ms >= 0),
  account_updated_ms      bigint  NOT NULL CHECK (account_updated_ms >= 0),
  quota_bytes             bigint  NOT NULL CHECK (quota_bytes >= 0),
  quota_frames            bigint  NOT NULL CHECK (quota_frames >= 0),
  device_catalog_begun    boolean NOT NULL DEFAULT false,
  created_at_ms           bigint  NOT NULL CHECK (created_at_ms > 0),
  deleted_at_ms           bigint,
  purge_after_ms          bigint,
  CHECK ((deleted_at_ms IS NULL) = (purge_after_ms IS NULL)),
  CHECK (purge_after_ms > deleted_at_ms)
);
-- At most one living account an address; deleted ones of the same address may wait beside it to be purged.
CREATE UNIQUE INDEX account_living_address ON account (address) WHERE deleted_at_ms IS NULL;
CREATE INDEX account_purge ON account (purge_after_ms) WHERE deleted_at_ms IS NOT NULL;

-- Names of deleted accounts that nobody may take yet.
CREATE TABLE quarantined_name (
  address   text   PRIMARY KEY,
  until_ms  bigint NOT NULL
);

-- Keys that once administered the account and were revoked; outlives every change of profiles (S25).
CREATE TABLE revoked_key (
  account_id  bigint NOT NULL REFERENCES account,
  key         bytea  NOT NULL CHECK (octet_length(key) = 57),
  PRIMARY KEY (account_id, key)
);

-- Derived from the frames of mmm_Device, in the transaction of the frame (S24, S90).
CREATE TABLE device (
  account_id          bigint NOT NULL REFERENCES account,
  device_udf          text   NOT NULL,
  key_authentication  bytea  NOT NULL CHECK (octet_length(key_authentication) = 57),
  key_signature       bytea  NOT NULL CHECK (octet_length(key_signature) = 57),
  connection_digest   bytea  NOT NULL CHECK (octet_length(connection_digest) = 64),
  permissions         jsonb  NOT NULL,
  connection_signer   bytea  NOT NULL CHECK (octet_length(connection_signer) = 57),
  entry_index         bigint NOT NULL CHECK (entry_index >= 0),
  revoked_at_ms       bigint,
  PRIMARY KEY (account_id, device_udf)
);

-- The head of each container: all that an append needs, so that no frame is read back. Half-filled pages let the
-- update of a head stay in its page.
CREATE TABLE container (
  id             bigint  PRIMARY KEY CHECK (id > 0),
  account_id     bigint  NOT NULL REFERENCES account,
  name           text    NOT NULL CHECK (name <> ''),
  kind           text    NOT NULL CHECK (kind IN ('catalog', 'spool')),
  frame_count    bigint  NOT NULL CHECK (frame_count > 0),
  dare_tree      bytea   NOT NULL,
  log_tree       bytea   NOT NULL,
  log_id         bytea   NOT NULL CHECK (octet_length(log_id) = 32),
  manifest_from  bigint  NOT NULL CHECK (manifest_from >= 0 AND manifest_from <= frame_count),
  legacy         boolean NOT NULL,
  bytes_used     bigint  NOT NULL CHECK (bytes_used >= 0),
  damaged        boolean NOT NULL DEFAULT false,
  UNIQUE (account_id, name)
) WITH (fillfactor = 50);
CREATE INDEX container_damaged ON container (id) WHERE damaged;
-- Digests do not compress; trying costs time.
ALTER TABLE container ALTER COLUMN dare_tree SET STORAGE EXTERNAL, ALTER COLUMN log_tree SET STORAGE EXTERNAL;

CREATE FUNCTION container_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'container % cannot be shortened or change its identity', OLD.id USING ERRCODE = 'MD002';
END $$;
CREATE TRIGGER container_never_shrinks BEFORE UPDATE ON container FOR EACH ROW
  WHEN (NEW.frame_count < OLD.frame_count OR NEW.id <> OLD.id OR NEW.account_id <> OLD.account_id
        OR NEW.name <> OLD.name OR NEW.log_id <> OLD.log_id)
  EXECUTE FUNCTION container_refuse();

-- The frames. Written once, never changed. No foreign key: frame_check_batch looks the container up once a statement
-- instead of once a row. Payloads are ciphertext: never compressed. Rows up to half a page stay in one piece.
CREATE TABLE frame (
  container_id    bigint NOT NULL,
  frame_index     bigint NOT NULL CHECK (frame_index >= 0),
  stored_at_ms    bigint NOT NULL CHECK (stored_at_ms > 0),
  unique_id       bytea,
  event           text   CHECK (event IN ('New', 'Update', 'Delete')),
  header          bytea  NOT NULL,
  payload         bytea,
  trailer         bytea,
  payload_digest  bytea  NOT NULL CHECK (octet_length(payload_digest) = 64),
  tree_digest     bytea  NOT NULL CHECK (octet_length(tree_digest) = 64),
  leaf            bytea  NOT NULL CHECK (octet_length(leaf) = 32),
  PRIMARY KEY (container_id, frame_index),
  CHECK (event IS NULL OR unique_id IS NOT NULL)
) WITH (toast_tuple_target = 4080);
ALTER TABLE frame ALTER COLUMN header SET STORAGE EXTERNAL, ALTER COLUMN payload SET STORAGE EXTERNAL,
  ALTER COLUMN trailer SET STORAGE EXTERNAL;

-- Every statement that adds frames continues its containers without gap and stays below the frame count, which the
-- same transaction has raised before. A wrong expectation of the frame count, should it get this far, ends here (too high)
-- or at the primary key (too low): the comparison does not rest on the service alone.
CREATE FUNCTION frame_check_batch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  bad record;
BEGIN
  SELECT batch.* INTO bad
  FROM (SELECT container_id, min(frame_index) AS first, max(frame_index) AS last, count(*) AS size
        FROM added GROUP BY container_id) AS batch
  LEFT JOIN container ON container.id = batch.container_id AND frame_count > batch.last AND NOT damaged
  LEFT JOIN frame AS before ON before.container_id = batch.container_id AND before.frame_index = batch.first - 1
  WHERE batch.last - batch.first + 1 <> batch.size OR container.id IS NULL
    OR (batch.first > 0 AND before.container_id IS NULL)
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'frames % to % do not continue container %', bad.first, bad.last, bad.container_id
      USING ERRCODE = 'MD003';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER frame_continues AFTER INSERT ON frame REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION frame_check_batch();

CREATE FUNCTION frame_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'frames are never changed' USING ERRCODE = 'MD004';
END $$;
CREATE TRIGGER frame_never_changes BEFORE UPDATE OR TRUNCATE ON frame
  FOR EACH STATEMENT EXECUTE FUNCTION frame_refuse_change();

-- The one deletion there is: stores of an account whose time of recovery has passed, by the database's own clock.
CREATE FUNCTION frame_check_purge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM (SELECT DISTINCT container_id FROM gone) AS g WHERE NOT EXISTS (
      SELECT 1 FROM container JOIN account ON account.id = container.account_id
      WHERE container.id = g.container_id
        AND account.purge_after_ms < extract(epoch FROM clock_timestamp()) * 1000)
  ) THEN
    RAISE EXCEPTION 'frames are only deleted with a whole expired account' USING ERRCODE = 'MD004';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER frame_only_purged AFTER DELETE ON frame REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION frame_check_purge();

-- Heads go after their frames and under the same rule.
CREATE FUNCTION container_check_purge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM frame WHERE container_id = OLD.id) OR NOT EXISTS (
    SELECT 1 FROM account WHERE id = OLD.account_id
      AND purge_after_ms < extract(epoch FROM clock_timestamp()) * 1000
  ) THEN
    RAISE EXCEPTION 'containers are only deleted with a whole expired account' USING ERRCODE = 'MD004';
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER container_only_purged BEFORE DELETE ON container
  FOR EACH ROW EXECUTE FUNCTION container_check_purge();

-- Where each key of a catalog stands, and which identities a spool has seen. Keys are client's text of any length, so
-- the index holds their SHA-256.
CREATE TABLE catalog_key (
  container_id  bigint  NOT NULL,
  key_digest    bytea   NOT NULL CHECK (octet_length(key_digest) = 32),
  latest_index  bigint  NOT NULL CHECK (latest_index >= first_index),
  first_index   bigint  NOT NULL CHECK (first_index >= 0),
  deleted       boolean NOT NULL,
  PRIMARY KEY (container_id, key_digest)
) WITH (fillfactor = 80);

-- Answers of writing requests (S27). The identity starts with its time, so the key is nearly in order of insertion and
-- what has expired is one range of it.
CREATE TABLE request_seen (
  request_id  bytea NOT NULL CHECK (octet_length(request_id) = 24),
  principal   text  NOT NULL,
  digest      bytea NOT NULL CHECK (octet_length(digest) = 64),
  result      bytea NOT NULL,
  PRIMARY KEY (request_id, principal)
);

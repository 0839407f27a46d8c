-- Which shard owns which account: 4,096 slots, single accounts that live elsewhere, and where the shards listen. Small,
-- read whole. Names begin with directory_, so that one database may also serve a shard.

CREATE TABLE directory_version (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version   bigint  NOT NULL CHECK (version >= 0)
);
INSERT INTO directory_version (version) VALUES (0);

CREATE TABLE directory_shard (
  name     text PRIMARY KEY CHECK (name <> ''),
  address  text CHECK (address <> '')
);

CREATE TABLE directory_slot (
  slot   integer PRIMARY KEY CHECK (slot >= 0 AND slot < 4096),
  shard  text    NOT NULL REFERENCES directory_shard
);

CREATE TABLE directory_exception (
  account  text PRIMARY KEY CHECK (account <> ''),
  shard    text NOT NULL REFERENCES directory_shard
);

-- Every change counts the version up and wakes whoever watches; readers can therefore compare versions alone.
CREATE FUNCTION directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  reached bigint;
BEGIN
  UPDATE directory_version SET version = version + 1 RETURNING version INTO reached;
  PERFORM pg_notify('directory_changed', reached::text);
  RETURN NULL;
END $$;
CREATE TRIGGER directory_shard_changed AFTER INSERT OR UPDATE OR DELETE ON directory_shard
  FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER directory_slot_changed AFTER INSERT OR UPDATE OR DELETE ON directory_slot
  FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER directory_exception_changed AFTER INSERT OR UPDATE OR DELETE ON directory_exception
  FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();

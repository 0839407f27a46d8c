-- Bodies of deleted entries are removed, and nothing else of a frame (S64). Runs as one transaction.

-- Deletions whose bodies are still here: the frame at which removing goes on, from version to version backwards. No foreign
-- key: a row is written in the transaction of its frame, and goes with the container.
CREATE TABLE frame_erasure (
  container_id  bigint NOT NULL,
  frame_index   bigint NOT NULL CHECK (frame_index >= 0),
  PRIMARY KEY (container_id, frame_index)
);

-- The header without its salt: Malt, the digest of the salt, in its place, every other octet as it was. The service leaves a
-- header alone in which the place is not beyond doubt; so does this.
CREATE FUNCTION frame_erased_header(header bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  member constant text := '"Salt"\s*:\s*"([A-Za-z0-9_-]+)"';
  words  text := convert_from(header, 'UTF8');
  salt   text := substring(words FROM member);
BEGIN
  IF salt IS NULL OR length(salt) % 4 = 1 OR length(words) - length(replace(words, '"Salt"', '')) <> 6
    OR strpos(words, '"Malt"') > 0
  THEN
    RETURN header;
  END IF;
  salt := rpad(translate(salt, '-_', '+/'), (length(salt) + 3) / 4 * 4, '=');
  RETURN convert_to(regexp_replace(words, member, '"Malt":"'
    || translate(encode(sha512(decode(salt, 'base64')), 'base64'), E'+/=\n', '-_') || '"'), 'UTF8');
END $$;

-- The one change of frames there is: the body of an entry that was deleted goes, with its salt. What readers need to tell who
-- may write is no such body: the device catalog keeps all of its own.
CREATE FUNCTION frame_check_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.payload IS NOT NULL OR OLD.payload IS NULL
    OR (NEW.container_id, NEW.frame_index, NEW.stored_at_ms, NEW.unique_id, NEW.event, NEW.trailer, NEW.payload_digest,
        NEW.tree_digest, NEW.leaf, NEW.nodes)
      IS DISTINCT FROM (OLD.container_id, OLD.frame_index, OLD.stored_at_ms, OLD.unique_id, OLD.event, OLD.trailer,
        OLD.payload_digest, OLD.tree_digest, OLD.leaf, OLD.nodes)
    OR coalesce(OLD.event, 'Delete') = 'Delete'
    OR NOT EXISTS (
      SELECT 1 FROM catalog_key AS k JOIN container AS c ON c.id = k.container_id
      WHERE k.container_id = OLD.container_id AND k.key_digest = sha256(OLD.unique_id)
        AND (k.deleted OR OLD.frame_index < k.first_index) AND c.kind = 'catalog' AND c.name <> 'mmm_Device')
    OR (NEW.header <> OLD.header AND NEW.header <> frame_erased_header(OLD.header))
  THEN
    RAISE EXCEPTION 'frames are never changed, but for the bodies of deleted entries' USING ERRCODE = 'MD004';
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER frame_never_changes ON frame;
CREATE TRIGGER frame_never_changes BEFORE UPDATE ON frame FOR EACH ROW EXECUTE FUNCTION frame_check_erasure();
CREATE TRIGGER frame_never_emptied BEFORE TRUNCATE ON frame FOR EACH STATEMENT EXECUTE FUNCTION frame_refuse_change();

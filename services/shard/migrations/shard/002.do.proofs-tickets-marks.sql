-- What proofs, tickets, revocation cuts and filters need. Runs as one transaction.

-- Tickets issued before these times are void (S33).
ALTER TABLE account ADD COLUMN tickets_from_ms bigint NOT NULL DEFAULT 0 CHECK (tickets_from_ms >= 0);
ALTER TABLE device ADD COLUMN tickets_from_ms bigint NOT NULL DEFAULT 0 CHECK (tickets_from_ms >= 0),
  -- Where the device's authority ended, by container (S48): [{"container", "size", "root"}].
  ADD COLUMN cuts jsonb NOT NULL DEFAULT '[]';

-- What the latest mark says of a message of a spool.
ALTER TABLE catalog_key ADD COLUMN mark text CHECK (mark IN ('read', 'deleted'));

-- Roots of the perfect subtrees of the second tree (RFC 6962) that end with this frame, from level 1 upwards, 32 octets
-- each: as many as the index ends in one bits. Any proof reads about 2 log2(n) of them by primary key.
ALTER TABLE frame ADD COLUMN nodes bytea CHECK (octet_length(nodes) % 32 = 0);

CREATE TEMPORARY TABLE log_node (
  container_id bigint, level integer, position bigint, hash bytea,
  PRIMARY KEY (container_id, level, position)
) ON COMMIT DROP;
DO $$
DECLARE
  done integer := 0;
BEGIN
  INSERT INTO log_node SELECT container_id, 0, frame_index, leaf FROM frame;
  LOOP
    INSERT INTO log_node
      SELECT l.container_id, done + 1, l.position / 2, sha256('\x01'::bytea || l.hash || r.hash)
      FROM log_node AS l JOIN log_node AS r
        ON r.container_id = l.container_id AND r.level = l.level AND r.position = l.position + 1
      WHERE l.level = done AND l.position % 2 = 0;
    EXIT WHEN NOT FOUND;
    done := done + 1;
  END LOOP;
END $$;
-- The one change of frames there ever is: they get what is computed from them.
ALTER TABLE frame DISABLE TRIGGER frame_never_changes;
UPDATE frame AS f SET nodes = coalesce((
  SELECT string_agg(n.hash, ''::bytea ORDER BY n.level) FROM generate_series(1, 52) AS at (level) JOIN log_node AS n
    ON n.container_id = f.container_id AND n.level = at.level
      AND (f.frame_index + 1) % (1::bigint << at.level) = 0
      AND n.position = ((f.frame_index + 1) >> at.level) - 1
), ''::bytea);
ALTER TABLE frame ENABLE TRIGGER frame_never_changes;
ALTER TABLE frame ALTER COLUMN nodes SET NOT NULL, ALTER COLUMN nodes SET DEFAULT '', ALTER COLUMN nodes SET STORAGE PLAIN;

-- The first frame from first_index to last_index that was stored at that time or later, last_index + 1 if there is none.
CREATE FUNCTION frame_first_at(container bigint, first_index bigint, last_index bigint, time_ms bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := first_index;
  high bigint := last_index + 1;
  middle bigint;
  stored bigint;
BEGIN
  WHILE low < high LOOP
    middle := (low + high) / 2;
    SELECT f.stored_at_ms INTO stored FROM frame AS f WHERE f.container_id = container AND f.frame_index = middle;
    IF stored IS NULL OR stored >= time_ms THEN
      high := middle;
    ELSE
      low := middle + 1;
    END IF;
  END LOOP;
  RETURN low;
END $$;

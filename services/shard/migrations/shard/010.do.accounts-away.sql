-- Accounts whose authoritative service is another one. They stand by here, or have left. Runs as one transaction.

ALTER TABLE account DROP CONSTRAINT account_status_check;
ALTER TABLE account ADD CONSTRAINT account_status_check CHECK (status IN ('connected', 'pending', 'blocked', 'moved'));
ALTER TABLE account
  -- Address at which the account is, and since when it is not here; both null where it is.
  ADD COLUMN away_to       text CHECK (away_to <> ''),
  ADD COLUMN away_since_ms bigint CHECK (away_since_ms > 0),
  ADD CHECK ((away_to IS NULL) = (away_since_ms IS NULL)),
  ADD CHECK (status <> 'moved' OR away_to IS NOT NULL);
CREATE INDEX account_left ON account (away_since_ms) WHERE status = 'moved' AND deleted_at_ms IS NULL;

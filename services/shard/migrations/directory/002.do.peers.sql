-- Other services, by domain: the key that each is pinned to (S70), learnt by our own calls. Kept here because every router
-- needs them, and because a pin that is lost is a pin that can be changed.

CREATE TABLE directory_peer (
  domain              text    PRIMARY KEY CHECK (domain <> ''),
  -- Absent until the first call succeeded; afterwards changed only under the rules of S26.
  service_key         bytea   CHECK (octet_length(service_key) = 57),
  profile_header      bytea,
  profile_payload     bytea,
  profile_trailer     bytea,
  features            text[]  NOT NULL DEFAULT '{}',
  verified_at_ms      bigint  NOT NULL DEFAULT 0 CHECK (verified_at_ms >= 0),
  -- When it is to be asked next; failures are kept until then (S70).
  due_at_ms           bigint  NOT NULL CHECK (due_at_ms > 0),
  last_failure        text    NOT NULL DEFAULT '',
  lease_owner         text,
  lease_until_ms      bigint,
  last_wanted_ms      bigint  NOT NULL CHECK (last_wanted_ms > 0),
  CHECK ((lease_owner IS NULL) = (lease_until_ms IS NULL)),
  CHECK ((service_key IS NULL) = (profile_header IS NULL)),
  CHECK ((service_key IS NULL) = (profile_payload IS NULL))
);
CREATE INDEX directory_peer_due ON directory_peer (due_at_ms);

-- When it was last leased to be asked: all shards together ask no more than a few domains in a second.
ALTER TABLE directory_peer ADD COLUMN leased_at_ms bigint NOT NULL DEFAULT 0;
CREATE INDEX directory_peer_leased ON directory_peer (leased_at_ms);
CREATE INDEX directory_peer_unknown ON directory_peer (last_wanted_ms) WHERE service_key IS NULL;

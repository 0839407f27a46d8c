-- The databases of one provider with two shards, for a Postgres that is all its own (compose file, local overlay).
-- Names are those of the shards; what is in them is made by `mesh-admin database migrate`.
CREATE DATABASE "meshd-directory";
CREATE DATABASE "meshd-shard-0";
CREATE DATABASE "meshd-shard-1";

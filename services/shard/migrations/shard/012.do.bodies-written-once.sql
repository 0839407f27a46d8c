-- Bodies lie apart from their rows, and nothing looks at a page of them to learn whether it is visible to all. Vacuum comes for
-- tables that only grow as well, and to say that of a page it writes the whole of it once more into the log: a message was
-- written four times instead of twice. Their room is still freed by the vacuum that follows deletions, and their age is kept
-- young by the one that Postgres begins when it must. Runs as one transaction.
ALTER TABLE frame SET (toast.autovacuum_vacuum_insert_threshold = -1);
ALTER TABLE large_slice SET (toast.autovacuum_vacuum_insert_threshold = -1);

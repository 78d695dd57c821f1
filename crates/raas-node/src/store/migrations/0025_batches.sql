-- Registrations that go together: the transaction that carries one, and which of its requests it is, from 0.
ALTER TABLE tx ADD COLUMN carrier INTEGER REFERENCES tx (id);
ALTER TABLE tx ADD COLUMN position INTEGER;
-- 1: what carried it came to nothing, so it goes by itself.
ALTER TABLE tx ADD COLUMN alone INTEGER NOT NULL DEFAULT 0 CHECK (alone IN (0, 1));
CREATE INDEX tx_carrier ON tx (carrier) WHERE carrier IS NOT NULL;
CREATE INDEX tx_job ON tx (job) WHERE job IS NOT NULL;

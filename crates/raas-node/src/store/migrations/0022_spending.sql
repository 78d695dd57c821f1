-- Spending: what gas can cost at most, who only takes a nonce, when it was signed; accounts that are halted.

ALTER TABLE tx_signed ADD COLUMN gas_max TEXT NOT NULL DEFAULT '0';
ALTER TABLE tx_signed ADD COLUMN cancels INTEGER NOT NULL DEFAULT 0 CHECK (cancels IN (0, 1));
-- The head when it was signed; 0 before it was noted.
ALTER TABLE tx_signed ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tx_signed_at ON tx_signed (at);

-- One row per account that was ever halted. `accepted`: the next nonce the admin accepted at its last release.
CREATE TABLE lane (
    lane TEXT PRIMARY KEY CHECK (lane IN ('native', 'evm')),
    accepted INTEGER NOT NULL,
    halted TEXT
) STRICT;

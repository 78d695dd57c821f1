-- Pieces in sectors that a contract was told of by their miner actors. `deal` is the contract's own id for it: those begin
-- at 2^63, so that the column holds it as the same 64 bits with a sign.
CREATE TABLE told (
    contract TEXT NOT NULL,
    deal INTEGER NOT NULL,
    market INTEGER NOT NULL,
    request INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    sector INTEGER NOT NULL,
    piece TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('new', 'adopted', 'unverified')),
    -- Height of the last look that could not settle it: the longest waiting come first, so that none stands before others.
    tried_at INTEGER,
    PRIMARY KEY (contract, deal)
) STRICT;
CREATE INDEX told_new ON told (tried_at, contract, deal) WHERE state = 'new';
CREATE INDEX told_request ON told (contract, request);
CREATE INDEX told_place ON told (contract, provider, sector);
-- What a contract was told of is planned as soon as it is known to be a copy: it can be shown there.
CREATE TRIGGER told_adopted AFTER UPDATE ON told WHEN NEW.state = 'adopted' BEGIN
    DELETE FROM dirty WHERE holding IN (SELECT holding FROM holding_piece WHERE piece = NEW.piece);
    INSERT INTO dirty (holding) SELECT holding FROM holding_piece WHERE piece = NEW.piece;
END;
-- A piece in a sector without a deal is one copy of a holding, however often it is found.
CREATE UNIQUE INDEX orders_sector ON orders (provider, sector, piece, holding)
    WHERE deal IS NULL AND sector IS NOT NULL AND closed = 0;
-- Height of the last look at a provider's claims.
ALTER TABLE provider ADD COLUMN claims_at INTEGER;

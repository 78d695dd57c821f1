-- A CAR that holds only a part of the DAG under its root: others of the same whole have the rest. Such a piece never stands
-- for its root by itself, whatever becomes of the other parts.
ALTER TABLE piece ADD COLUMN part INTEGER NOT NULL DEFAULT 0 CHECK (part IN (0, 1));
-- DAGs over the limit of a piece, each in linked CARs. One root can be cut in more than one way, and a last part can belong
-- to two of them.
CREATE TABLE whole (
    id INTEGER PRIMARY KEY,
    root TEXT NOT NULL
) STRICT;
CREATE INDEX whole_root ON whole (root);
CREATE TABLE whole_part (
    whole INTEGER NOT NULL REFERENCES whole (id),
    number INTEGER NOT NULL,
    piece TEXT NOT NULL REFERENCES piece (commitment),
    PRIMARY KEY (whole, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX whole_part_piece ON whole_part (piece);

-- Pins of blocks inside of pieces: which pieces have what is under them. A row counts while its CID is pinned.
CREATE TABLE pin_within (
    cid TEXT NOT NULL,
    piece TEXT NOT NULL,
    PRIMARY KEY (cid, piece)
) STRICT, WITHOUT ROWID;
CREATE INDEX pin_within_piece ON pin_within (piece);
CREATE TRIGGER pin_found_within AFTER INSERT ON pin_within BEGIN
    DELETE FROM dirty WHERE holding IN (SELECT holding FROM holding_piece WHERE piece = NEW.piece);
    INSERT INTO dirty (holding) SELECT holding FROM holding_piece WHERE piece = NEW.piece;
END;
CREATE TRIGGER pin_within_removed AFTER DELETE ON pin_within BEGIN
    DELETE FROM dirty WHERE holding IN (SELECT holding FROM holding_piece WHERE piece = OLD.piece);
    INSERT INTO dirty (holding) SELECT holding FROM holding_piece WHERE piece = OLD.piece;
END;

-- Aggregates of client pieces: their padded size, and their pieces in the order that is part of the commitment. A piece can
-- be in several aggregates, and in one more than once.
CREATE TABLE aggregate (
    commitment TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT;
CREATE TABLE aggregate_piece (
    aggregate TEXT NOT NULL REFERENCES aggregate (commitment),
    position INTEGER NOT NULL,
    piece TEXT NOT NULL REFERENCES piece (commitment),
    PRIMARY KEY (aggregate, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX aggregate_piece_piece ON aggregate_piece (piece);

-- What users want kept on this disk, whatever the policies of jobs say: payload or piece CIDs.
CREATE TABLE pin (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    cid TEXT NOT NULL,
    -- Left by an upload without a job: the first job of the CID says from then on what is kept.
    by_upload INTEGER NOT NULL CHECK (by_upload IN (0, 1)),
    UNIQUE (cid, owner)
) STRICT;
-- Bytes that were uploaded without a job were always kept.
INSERT INTO pin (owner, cid, by_upload) SELECT DISTINCT owner, root, 1 FROM upload
    WHERE job IS NULL AND root IS NOT NULL AND json_extract(state, '$.d.state') = 'registered' ORDER BY seq;
CREATE INDEX upload_root ON upload (root);

-- A pin is a wish for the local copy, which planning heeds.
CREATE TRIGGER pin_added AFTER INSERT ON pin BEGIN
    DELETE FROM dirty WHERE holding IN (SELECT holding FROM holding_piece WHERE piece IN
        (SELECT commitment FROM piece WHERE root = NEW.cid UNION SELECT NEW.cid));
    INSERT INTO dirty (holding) SELECT DISTINCT holding FROM holding_piece WHERE piece IN
        (SELECT commitment FROM piece WHERE root = NEW.cid UNION SELECT NEW.cid);
END;
CREATE TRIGGER pin_removed AFTER DELETE ON pin BEGIN
    DELETE FROM dirty WHERE holding IN (SELECT holding FROM holding_piece WHERE piece IN
        (SELECT commitment FROM piece WHERE root = OLD.cid UNION SELECT OLD.cid));
    INSERT INTO dirty (holding) SELECT DISTINCT holding FROM holding_piece WHERE piece IN
        (SELECT commitment FROM piece WHERE root = OLD.cid UNION SELECT OLD.cid);
END;

-- Why bytes that were here are gone though nobody gave them away. NULL while they are here, and where that is settled.
ALTER TABLE piece ADD COLUMN lost TEXT;
CREATE INDEX piece_lost ON piece (commitment) WHERE lost IS NOT NULL;
-- When the bytes were last hashed again, seconds since 1970. NULL: not since they came.
ALTER TABLE piece ADD COLUMN scrubbed_unix INTEGER;
CREATE INDEX piece_scrubbed ON piece (scrubbed_unix) WHERE local = 1;
-- Since when nothing keeps the piece, seconds since 1970.
ALTER TABLE piece ADD COLUMN spare_unix INTEGER;

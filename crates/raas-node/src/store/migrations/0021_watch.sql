-- Watching by provider: what the index in memory is loaded from, and the feed that keeps it in step.

-- Repeats what `state` says, so that a million replicas load without reading JSON. `mark`: 0 not watched, 1 pending,
-- 2 proven, 3 suspect, 4 active with anything else. `places` counts the order's rows in order_slot.
ALTER TABLE orders ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN sector INTEGER;
ALTER TABLE orders ADD COLUMN term_start INTEGER;
ALTER TABLE orders ADD COLUMN term_end INTEGER;
ALTER TABLE orders ADD COLUMN fault_since INTEGER;
ALTER TABLE orders ADD COLUMN fault_first INTEGER;
ALTER TABLE orders ADD COLUMN places INTEGER NOT NULL DEFAULT 0;
UPDATE orders SET
    mark = CASE state_name
        WHEN 'published' THEN 1
        WHEN 'active' THEN CASE json_extract(state, '$.d.health.health')
            WHEN 'proven' THEN 2 WHEN 'suspect' THEN 3 ELSE 4 END
        ELSE 0 END,
    sector = json_extract(state, '$.d.sector'),
    term_start = json_extract(state, '$.d.term.start'),
    term_end = json_extract(state, '$.d.term.end'),
    fault_since = json_extract(state, '$.d.health.fault.since'),
    fault_first = json_extract(state, '$.d.health.fault.first_round'),
    places = (SELECT COUNT(*) FROM order_slot s WHERE s.order_id = orders.id)
    WHERE closed = 0;
-- The index alone answers the load, in the order the columns are kept in.
CREATE INDEX orders_watched ON orders
    (provider, sector, id, operator, holding, deal, mark, term_start, term_end, fault_since, fault_first, places)
    WHERE mark > 0;
-- What was spent, from the index alone: adopted copies cost nothing and may be a million.
CREATE INDEX orders_spent ON orders (planned_at, state_name, cost) WHERE adopted = 0;
CREATE INDEX orders_piece ON orders (piece) WHERE closed = 0;
-- Where a secret's or a piece's holdings are looked for by piece.
CREATE INDEX holding_piece_piece ON holding_piece (piece);

-- Head at which the holding is planned again if nothing touches it: 0 in every round, NULL never.
ALTER TABLE holding ADD COLUMN wake INTEGER;
-- Block at which the contract's list of its CID was read.
ALTER TABLE holding ADD COLUMN listed_at INTEGER;
UPDATE holding SET listed_at = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'views:' || holding.id);
UPDATE holding SET listed_at = NULL
    WHERE listed_at < (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'contract lists since');
DELETE FROM meta WHERE key LIKE 'views:%' OR key = 'contract lists since';
CREATE INDEX holding_listed ON holding (listed_at);
DELETE FROM node_state WHERE key = 'plan';

-- Holdings that a transaction touched since they were planned. A row that is written again gets a new number.
CREATE TABLE dirty (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    holding INTEGER NOT NULL UNIQUE
) STRICT;
INSERT INTO dirty (holding) SELECT id FROM holding ORDER BY id;

CREATE TRIGGER orders_made AFTER INSERT ON orders BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding;
    INSERT INTO dirty (holding) VALUES (NEW.holding);
END;
CREATE TRIGGER orders_changed AFTER UPDATE ON orders BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding
        OR holding IN (SELECT holding FROM order_slot WHERE order_id = NEW.id);
    INSERT INTO dirty (holding)
        SELECT NEW.holding UNION SELECT holding FROM order_slot WHERE order_id = NEW.id;
END;
CREATE TRIGGER place_entered AFTER INSERT ON order_slot BEGIN
    UPDATE orders SET places = places + 1 WHERE id = NEW.order_id;
END;
CREATE TRIGGER place_left AFTER DELETE ON order_slot BEGIN
    UPDATE orders SET places = places - 1 WHERE id = OLD.order_id;
    DELETE FROM dirty WHERE holding = OLD.holding;
    INSERT INTO dirty (holding) VALUES (OLD.holding);
END;
CREATE TRIGGER job_made AFTER INSERT ON job BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding;
    INSERT INTO dirty (holding) VALUES (NEW.holding);
END;
CREATE TRIGGER job_changed AFTER UPDATE ON job BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding;
    INSERT INTO dirty (holding) VALUES (NEW.holding);
END;
CREATE TRIGGER piece_linked AFTER INSERT ON holding_piece BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding;
    INSERT INTO dirty (holding) VALUES (NEW.holding);
END;
CREATE TRIGGER piece_changed AFTER UPDATE OF local, retrieved_at ON piece BEGIN
    DELETE FROM dirty WHERE holding IN (SELECT holding FROM holding_piece WHERE piece = NEW.commitment);
    INSERT INTO dirty (holding) SELECT holding FROM holding_piece WHERE piece = NEW.commitment;
END;
CREATE TRIGGER deal_completed AFTER INSERT ON completion BEGIN
    DELETE FROM dirty WHERE holding IN
        (SELECT holding FROM job WHERE contract = NEW.contract AND request = NEW.request);
    INSERT INTO dirty (holding)
        SELECT DISTINCT holding FROM job WHERE contract = NEW.contract AND request = NEW.request;
END;
CREATE TRIGGER attestation_changed AFTER UPDATE ON tx WHEN NEW.deal IS NOT NULL AND NEW.holding IS NOT NULL BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding;
    INSERT INTO dirty (holding) VALUES (NEW.holding);
END;

-- What the last looks at a provider found, for all of its replicas.
CREATE TABLE provider_view (
    provider INTEGER PRIMARY KEY,
    view TEXT NOT NULL
) STRICT;

-- One row for one provider's trouble, however many replicas it concerns.
CREATE TABLE incident (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    provider INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('faulty', 'lost', 'unseen')),
    opened_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    closed_at INTEGER,
    -- Replicas it concerns now, and at its worst.
    replicas INTEGER NOT NULL,
    worst INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX incident_open ON incident (provider, kind) WHERE closed_at IS NULL;

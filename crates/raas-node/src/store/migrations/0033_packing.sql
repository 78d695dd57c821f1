-- Small pieces of many holdings that one order buys together. A holding's piece is packed once: all its copies are of that
-- aggregate from then on.
ALTER TABLE holding_piece ADD COLUMN aggregate TEXT REFERENCES aggregate (commitment);
CREATE INDEX holding_piece_aggregate ON holding_piece (aggregate) WHERE aggregate IS NOT NULL;
-- That the piece is in the aggregate, in CBOR. NULL: it is computed when somebody asks.
ALTER TABLE aggregate_piece ADD COLUMN proof BLOB;
CREATE INDEX orders_within ON orders (within) WHERE within IS NOT NULL;

-- An order under a thousand places touches each of their holdings once when it changes, and one when it enters a place.
DROP TRIGGER orders_changed;
CREATE TRIGGER orders_changed AFTER UPDATE ON orders WHEN NEW.places = OLD.places BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding
        OR holding IN (SELECT holding FROM order_slot WHERE order_id = NEW.id)
        OR holding IN (SELECT holding FROM holding_piece WHERE aggregate = NEW.within);
    INSERT INTO dirty (holding)
        SELECT NEW.holding UNION SELECT holding FROM order_slot WHERE order_id = NEW.id
        UNION SELECT holding FROM holding_piece WHERE aggregate = NEW.within;
END;
DROP TRIGGER place_entered;
CREATE TRIGGER place_entered AFTER INSERT ON order_slot BEGIN
    UPDATE orders SET places = places + 1 WHERE id = NEW.order_id;
    DELETE FROM dirty WHERE holding = NEW.holding
        OR holding = (SELECT holding FROM orders WHERE id = NEW.order_id);
    INSERT INTO dirty (holding)
        SELECT NEW.holding UNION SELECT holding FROM orders WHERE id = NEW.order_id;
END;
DROP TRIGGER place_left;
CREATE TRIGGER place_left AFTER DELETE ON order_slot BEGIN
    UPDATE orders SET places = places - 1 WHERE id = OLD.order_id;
    DELETE FROM dirty WHERE holding = OLD.holding
        OR holding = (SELECT holding FROM orders WHERE id = OLD.order_id);
    INSERT INTO dirty (holding)
        SELECT OLD.holding UNION SELECT holding FROM orders WHERE id = OLD.order_id;
END;
CREATE TRIGGER piece_packed AFTER UPDATE OF aggregate ON holding_piece BEGIN
    DELETE FROM dirty WHERE holding = NEW.holding;
    INSERT INTO dirty (holding) VALUES (NEW.holding);
END;

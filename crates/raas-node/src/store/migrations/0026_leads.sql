-- Height of the finalized tipset that first showed an order of ours active, but not past the start of its term: it was
-- active by then. NULL for adopted copies, and for orders that were active before this column was there.
ALTER TABLE orders ADD COLUMN active_at INTEGER;
-- The newest of each provider, however many there are.
CREATE INDEX orders_active_at ON orders (provider, active_at) WHERE active_at IS NOT NULL;

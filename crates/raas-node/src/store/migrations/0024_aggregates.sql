-- Orders whose deal is an aggregate around their piece: its commitment and padded size, or NULL.
ALTER TABLE orders ADD COLUMN within TEXT;
ALTER TABLE orders ADD COLUMN within_size INTEGER;

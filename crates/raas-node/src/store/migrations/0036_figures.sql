-- What is counted for metrics is counted in indexes.
CREATE INDEX orders_under_way ON orders (state_name) WHERE closed = 0 AND mark = 0;
CREATE INDEX orders_by_cause ON orders (json_extract(cause, '$.d.cause')) WHERE adopted = 0;
CREATE INDEX incident_kind ON incident (kind) WHERE closed_at IS NULL;

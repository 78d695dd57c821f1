-- History that was final and is another one now: what was read of it stays, superseded by the rewind that read it again.

-- Each time an admin had rewritten history read again.
CREATE TABLE rewind (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The first height that was read again.
    from_height INTEGER NOT NULL,
    -- The tipset that was final and is gone, and the one that is final instead.
    gone_tipset TEXT NOT NULL,
    gone_height INTEGER NOT NULL,
    tipset TEXT NOT NULL,
    height INTEGER NOT NULL,
    -- The head, and seconds since 1970.
    at INTEGER NOT NULL,
    at_unix INTEGER NOT NULL
) STRICT;

-- The finalized tipsets of the last rounds: where the chain that is final now leaves the one that was.
CREATE TABLE trail (
    height INTEGER PRIMARY KEY,
    tipset TEXT NOT NULL
) STRICT;
INSERT INTO trail (height, tipset)
    SELECT json_extract(value, '$.d[0].height'), json_extract(value, '$.d[0].tipset')
    FROM node_state WHERE key = 'round';

-- The events of contracts that were believed. Jobs, completions and told pieces follow from those that are not superseded.
CREATE TABLE contract_event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    contract TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('requested', 'completed', 'told', 'changed', 'closed')),
    request INTEGER NOT NULL,
    -- Of completed and told; 0 for the others.
    deal INTEGER NOT NULL,
    -- Of requested: the transaction, and which of its requests it is; '' where a view told it. Not known of the others.
    tx TEXT NOT NULL,
    position INTEGER,
    block INTEGER NOT NULL,
    superseded INTEGER REFERENCES rewind (id)
) STRICT;
CREATE UNIQUE INDEX contract_event_once ON contract_event (contract, kind, request, deal, block)
    WHERE superseded IS NULL;
CREATE INDEX contract_event_block ON contract_event (contract, block) WHERE superseded IS NULL;
-- What a job of the API was registered by is in the receipt of its transaction.
INSERT INTO contract_event (contract, kind, request, deal, tx, block)
    SELECT j.contract, 'requested', j.request, 0,
        COALESCE(json_extract(j.source, '$.d.transaction'), json_extract(t.state, '$.d.receipt.hash'), ''),
        COALESCE(json_extract(j.source, '$.d.block'), json_extract(t.state, '$.d.receipt.block'), 0)
    FROM job j LEFT JOIN tx t ON t.id = (SELECT COALESCE(r.carrier, r.id) FROM tx r WHERE r.job = j.id ORDER BY r.id DESC LIMIT 1)
    WHERE j.contract IS NOT NULL AND j.request IS NOT NULL ORDER BY j.id;
INSERT INTO contract_event (contract, kind, request, deal, tx, block)
    SELECT contract, 'completed', request, deal, '', block FROM completion ORDER BY contract, request, deal;

-- Block of the event; 0 of those that were told before it was kept, which no rewind takes back.
ALTER TABLE told ADD COLUMN block INTEGER NOT NULL DEFAULT 0;
INSERT INTO contract_event (contract, kind, request, deal, tx, block)
    SELECT contract, 'told', request, deal, '', 0 FROM told ORDER BY contract, deal;

-- The rewind after which the request of a job is no more, and whether the job counted until then: it counts again if the
-- same transaction is mined after all.
ALTER TABLE job ADD COLUMN superseded INTEGER REFERENCES rewind (id);
ALTER TABLE job ADD COLUMN ended_by_rewind INTEGER NOT NULL DEFAULT 0 CHECK (ended_by_rewind IN (0, 1));
CREATE INDEX job_superseded ON job (id) WHERE superseded IS NOT NULL;

-- What a deal's proposal was when it was first seen on chain: the market forgets it with the deal.
CREATE TABLE seen_proposal (
    order_id INTEGER PRIMARY KEY REFERENCES orders (id),
    deal INTEGER NOT NULL,
    -- Height of the round.
    seen_at INTEGER NOT NULL,
    proposal TEXT NOT NULL
) STRICT;

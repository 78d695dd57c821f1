-- The first schema. TEXT, INTEGER and BLOB only, so that PostgreSQL can follow with its own types.
--
-- Owners: holding, job, upload and tx name theirs; pieces of a holding, orders, places, proposals, steps and
-- attempts have it through their holding. Facts of the chain (provider, piece, sighting, completion, cursor)
-- and of the node itself (store, lease, node_state, meta) belong to nobody.
-- Amounts are decimal TEXT in attoFIL, CIDs TEXT in normal form. JSON columns carry {"v":…,"d":…}.

CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL,
    network TEXT,
    genesis TEXT
) STRICT;

CREATE TABLE lease (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    -- Seconds since 1970; NULL: until the next start takes it over.
    until INTEGER,
    PRIMARY KEY (kind, key)
) STRICT;

CREATE TABLE holding (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    cid TEXT NOT NULL,
    UNIQUE (owner, cid)
) STRICT;
CREATE INDEX holding_cid ON holding (cid);

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    holding INTEGER NOT NULL REFERENCES holding (id),
    owner TEXT NOT NULL,
    duties TEXT NOT NULL,
    policy TEXT NOT NULL,
    source TEXT NOT NULL,
    -- Parameters of its registration on the contract, NULL when it was not asked for.
    on_chain TEXT,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    contract TEXT,
    request INTEGER,
    idempotency_key TEXT,
    at INTEGER NOT NULL,
    at_unix INTEGER NOT NULL,
    UNIQUE (contract, request),
    UNIQUE (owner, idempotency_key)
) STRICT;
CREATE INDEX job_holding ON job (holding);
CREATE INDEX job_open ON job (holding) WHERE open = 1;

CREATE TABLE piece (
    commitment TEXT PRIMARY KEY,
    root TEXT NOT NULL,
    size INTEGER NOT NULL,
    car_bytes INTEGER NOT NULL,
    payload_bytes INTEGER NOT NULL,
    local INTEGER NOT NULL CHECK (local IN (0, 1)),
    retrieved_at INTEGER
) STRICT;
CREATE INDEX piece_root ON piece (root);

CREATE TABLE holding_piece (
    holding INTEGER NOT NULL REFERENCES holding (id),
    piece TEXT NOT NULL REFERENCES piece (commitment),
    PRIMARY KEY (holding, piece)
) STRICT;

-- Orders. The id is the key of money and never reused. `closed`, `reserves` and `cost` repeat what `state`
-- and the price say, for the indexes.
CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version INTEGER NOT NULL,
    holding INTEGER NOT NULL,
    piece TEXT NOT NULL,
    size INTEGER NOT NULL,
    provider INTEGER NOT NULL,
    operator INTEGER NOT NULL,
    cause TEXT NOT NULL,
    -- A copy that this node did not buy.
    adopted INTEGER NOT NULL CHECK (adopted IN (0, 1)),
    price_per_epoch TEXT NOT NULL,
    duration INTEGER NOT NULL,
    cost TEXT NOT NULL,
    planned_at INTEGER NOT NULL,
    state_name TEXT NOT NULL,
    state TEXT NOT NULL,
    closed INTEGER NOT NULL CHECK (closed IN (0, 1)),
    reserves INTEGER NOT NULL CHECK (reserves IN (0, 1)),
    deal INTEGER,
    FOREIGN KEY (holding, piece) REFERENCES holding_piece (holding, piece)
) STRICT;
CREATE INDEX orders_holding ON orders (holding);
CREATE INDEX orders_open ON orders (holding) WHERE closed = 0;
CREATE INDEX orders_reserving ON orders (id) WHERE reserves = 1;
CREATE INDEX orders_planned_at ON orders (planned_at);
-- A deal is at most one order of ours or one adopted copy, never two.
CREATE UNIQUE INDEX orders_deal ON orders (deal) WHERE deal IS NOT NULL;

-- The places an order fills. `phase` repeats its order's state: occupying, active, closed or watched.
-- `kept` is 1 for what the rules see: all that are not closed, and the last closed one of each place.
CREATE TABLE order_slot (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    holding INTEGER NOT NULL REFERENCES holding (id),
    piece TEXT NOT NULL REFERENCES piece (commitment),
    slot INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('occupying', 'active', 'watched', 'closed')),
    kept INTEGER NOT NULL CHECK (kept IN (0, 1)),
    PRIMARY KEY (order_id, holding, piece, slot),
    UNIQUE (holding, piece, slot, generation)
) STRICT;
CREATE INDEX order_slot_kept ON order_slot (holding) WHERE kept = 1;
-- At most one order on its way per place, whatever the code does.
CREATE UNIQUE INDEX order_slot_occupied ON order_slot (holding, piece, slot) WHERE phase = 'occupying';

-- Every proposal ever signed: any of them may still be published or pulled for.
CREATE TABLE proposal (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    attempt INTEGER NOT NULL,
    proposal_cid TEXT NOT NULL UNIQUE,
    start_epoch INTEGER NOT NULL,
    end_epoch INTEGER NOT NULL,
    uuid BLOB NOT NULL UNIQUE,
    bytes BLOB NOT NULL,
    secret TEXT NOT NULL UNIQUE,
    next_deal INTEGER NOT NULL,
    PRIMARY KEY (order_id, attempt)
) STRICT;

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    holding INTEGER REFERENCES holding (id),
    order_id INTEGER REFERENCES orders (id),
    provider INTEGER,
    what TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    at INTEGER NOT NULL,
    at_unix INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_holding ON attempt (holding, id);

-- Durable steps of work. (kind, subject, piece) is the step's identity; `piece` is '' where it has none.
CREATE TABLE step (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('deliver', 'send', 'evict', 'probe', 'fetch')),
    subject INTEGER NOT NULL,
    piece TEXT NOT NULL,
    -- Seconds since 1970.
    due INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    -- The fence of the process that works on it.
    claimed INTEGER,
    -- Somebody asked for another run while it was claimed.
    woken INTEGER NOT NULL CHECK (woken IN (0, 1)),
    parked INTEGER NOT NULL CHECK (parked IN (0, 1)),
    why TEXT,
    UNIQUE (kind, subject, piece)
) STRICT;
CREATE INDEX step_due ON step (due) WHERE parked = 0;

CREATE TABLE tx (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    -- For whom it is sent; NULL for the node's own, such as escrow.
    holding INTEGER REFERENCES holding (id),
    intent TEXT NOT NULL,
    lane TEXT NOT NULL CHECK (lane IN ('native', 'evm')),
    version INTEGER NOT NULL,
    nonce INTEGER,
    -- The sender machine's state.
    state TEXT NOT NULL,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    -- The job of a submit; contract, request and deal of a complete.
    job INTEGER REFERENCES job (id),
    contract TEXT,
    request INTEGER,
    deal INTEGER,
    -- 0 once it is closed without success: what it was to do is still to be done.
    counts INTEGER NOT NULL CHECK (counts IN (0, 1)),
    UNIQUE (lane, nonce)
) STRICT;
CREATE UNIQUE INDEX tx_open_key ON tx (key) WHERE open = 1;
CREATE INDEX tx_open ON tx (id) WHERE open = 1;
CREATE INDEX tx_complete ON tx (request, deal) WHERE deal IS NOT NULL;

CREATE TABLE tx_signed (
    tx INTEGER NOT NULL REFERENCES tx (id),
    form INTEGER NOT NULL,
    raw BLOB NOT NULL,
    hash TEXT NOT NULL,
    fee_cap TEXT NOT NULL,
    premium TEXT NOT NULL,
    PRIMARY KEY (tx, form)
) STRICT;
CREATE INDEX tx_signed_hash ON tx_signed (LOWER(hash));

CREATE TABLE cursor (
    contract TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT;

CREATE TABLE completion (
    contract TEXT NOT NULL,
    request INTEGER NOT NULL,
    deal INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (contract, request, deal)
) STRICT;

CREATE TABLE sighting (
    cid TEXT NOT NULL,
    deal INTEGER NOT NULL,
    request INTEGER,
    state TEXT NOT NULL CHECK (state IN ('new', 'adopted', 'unverified')),
    PRIMARY KEY (cid, deal)
) STRICT;
CREATE INDEX sighting_state ON sighting (state);

CREATE TABLE provider (
    id INTEGER PRIMARY KEY,
    on_chain TEXT NOT NULL,
    ask TEXT,
    read_at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    backs_off_until INTEGER,
    last_failure TEXT
) STRICT;

CREATE TABLE upload (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    root TEXT,
    job INTEGER REFERENCES job (id)
) STRICT;

-- Round, hold, breaker, plan, head and the market-event mark: one row each.
CREATE TABLE node_state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- What happened, append only.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    holding INTEGER REFERENCES holding (id),
    at INTEGER,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX event_holding ON event (holding, seq);

PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES(1,'first','2026-11-21 09:45:57',1,X'090d4af2cf6d94825cf3b83211d25b5aec3d3cc902c9c27744a86fb89e6cab33b5b1f59a36f0718f0871d1f762011e9a',10767031);
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL,
    network TEXT,
    genesis TEXT
) STRICT;
INSERT INTO store VALUES(1,X'07070707070707070707070707070707','devnet','bafygenesis');
CREATE TABLE lease (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    -- Seconds since 1970; NULL: until the next start takes it over.
    until INTEGER,
    PRIMARY KEY (kind, key)
) STRICT;
INSERT INTO lease VALUES('wallet','*','fixture',1,NULL);
INSERT INTO lease VALUES('contract','*','fixture',1,NULL);
INSERT INTO lease VALUES('provider','*','fixture',1,NULL);
INSERT INTO lease VALUES('shard','*','fixture',1,NULL);
CREATE TABLE holding (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    cid TEXT NOT NULL,
    UNIQUE (owner, cid)
) STRICT;
INSERT INTO holding VALUES(1,'local','bafybeiaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO holding VALUES(3,'0xcaller','bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO holding VALUES(4,'local','bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO holding VALUES(5,'local','bafybeiaaaaaaaaaaaabqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
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
INSERT INTO job VALUES(1,1,'local','{"v":1,"d":{"replicate":false,"renew":true,"repair":false}}','{"v":1,"d":{"replicas":{"min":1,"target":3,"max":3},"renew_before":86400,"repair_after":2880,"duration":1555200,"start_delay":8640,"ends_at":2000000,"placement":{"allow":[1000],"deny":[1009],"price_max":"100"},"keep_local":{"until_proven":2}}}','{"v":1,"d":{"source":"api"}}','{"v":1,"d":{"cid":[1,112,255],"target":3,"repair":2880,"renew":86400}}',0,NULL,NULL,'k',100,1000);
INSERT INTO job VALUES(2,1,'local','{"v":1,"d":{"replicate":true,"renew":true,"repair":true}}','{"v":1,"d":{"replicas":{"min":1,"target":3,"max":3},"renew_before":86400,"repair_after":2880,"duration":1555200,"start_delay":8640,"ends_at":null,"placement":{"allow":[],"deny":[],"price_max":"100"},"keep_local":"always"}}','{"v":1,"d":{"source":"upload"}}',NULL,1,NULL,NULL,NULL,100,1000);
INSERT INTO job VALUES(3,3,'0xcaller','{"v":1,"d":{"replicate":true,"renew":true,"repair":true}}','{"v":1,"d":{"replicas":{"min":1,"target":3,"max":3},"renew_before":86400,"repair_after":2880,"duration":1555200,"start_delay":8640,"ends_at":null,"placement":{"allow":[],"deny":[],"price_max":"100"},"keep_local":"always"}}','{"v":1,"d":{"source":"contract","contract":"0x00000000000000000000000000000000000c0de5","request":4,"transaction":"0xabc","block":90}}',NULL,1,'0x00000000000000000000000000000000000c0de5',4,NULL,100,1000);
INSERT INTO job VALUES(4,4,'local','{"v":1,"d":{"replicate":true,"renew":true,"repair":true}}','{"v":1,"d":{"replicas":{"min":1,"target":3,"max":3},"renew_before":86400,"repair_after":2880,"duration":1555200,"start_delay":8640,"ends_at":null,"placement":{"allow":[],"deny":[],"price_max":"100"},"keep_local":"always"}}','{"v":1,"d":{"source":"api"}}',NULL,1,NULL,NULL,NULL,100,1000);
INSERT INTO job VALUES(5,5,'local','{"v":1,"d":{"replicate":true,"renew":true,"repair":true}}','{"v":1,"d":{"replicas":{"min":1,"target":3,"max":3},"renew_before":86400,"repair_after":2880,"duration":1555200,"start_delay":8640,"ends_at":null,"placement":{"allow":[],"deny":[],"price_max":"100"},"keep_local":"always"}}','{"v":1,"d":{"source":"api"}}',NULL,1,NULL,NULL,NULL,100,1000);
CREATE TABLE piece (
    commitment TEXT PRIMARY KEY,
    root TEXT NOT NULL,
    size INTEGER NOT NULL,
    car_bytes INTEGER NOT NULL,
    payload_bytes INTEGER NOT NULL,
    local INTEGER NOT NULL CHECK (local IN (0, 1)),
    retrieved_at INTEGER
) STRICT;
INSERT INTO piece VALUES('baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,900000,890000,1,299);
INSERT INTO piece VALUES('baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','bafybeiaaaaaaaaaaaabqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,900000,890000,1,NULL);
CREATE TABLE holding_piece (
    holding INTEGER NOT NULL REFERENCES holding (id),
    piece TEXT NOT NULL REFERENCES piece (commitment),
    PRIMARY KEY (holding, piece)
) STRICT;
INSERT INTO holding_piece VALUES(3,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO holding_piece VALUES(4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO holding_piece VALUES(5,'baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
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
INSERT INTO orders VALUES(1,2,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1000,11000,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'expired','{"v":1,"d":{"state":"expired"}}',1,0,NULL);
INSERT INTO orders VALUES(2,3,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1001,11001,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'lost','{"v":1,"d":{"state":"lost","on_chain":{"deal":50,"term":{"start":9000,"end":1500000},"sector":null,"health":{"health":{"lost":"terminated"},"fault":null,"proven_at":null,"at":300}},"reason":"terminated"}}',1,0,50);
INSERT INTO orders VALUES(3,2,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1002,11002,'{"v":1,"d":{"cause":"repair","of":2}}',0,'10',1000,'10000',301,'signed','{"v":1,"d":{"state":"signed","attempt":1,"proposal_cid":"bafyproposal3-1","term":{"start":9000,"end":1500000}}}',0,1,NULL);
INSERT INTO orders VALUES(4,2,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1003,11003,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'active','{"v":1,"d":{"state":"active","deal":51,"term":{"start":9000,"end":1500000},"sector":7,"health":{"health":"suspect","fault":{"since":290,"first_round":295,"last_round":300},"proven_at":280,"at":300}}}',0,0,51);
INSERT INTO orders VALUES(5,3,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1004,11004,'{"v":1,"d":{"cause":"renew","of":4}}',0,'10',1000,'10000',302,'rejected_watched','{"v":1,"d":{"state":"rejected_watched","attempt":1,"proposal_cid":"bafyproposal5-1","term":{"start":9000,"end":1500000}}}',0,1,NULL);
INSERT INTO orders VALUES(6,2,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1005,11005,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'cancelled','{"v":1,"d":{"state":"cancelled"}}',1,0,NULL);
INSERT INTO orders VALUES(7,2,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1006,11006,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'ended','{"v":1,"d":{"state":"ended","deal":52,"term":{"start":9000,"end":1500000},"sector":null,"health":{"health":"ended","fault":null,"proven_at":null,"at":400}}}',1,0,52);
INSERT INTO orders VALUES(8,2,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1007,11007,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'published','{"v":1,"d":{"state":"published","deal":53,"term":{"start":9000,"end":1500000},"sector":null,"health":{"health":{"unknown":{"not_seen":"rpc_failed"}},"fault":null,"proven_at":null,"at":401}}}',0,0,53);
INSERT INTO orders VALUES(9,2,5,'baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1000,11000,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'accepted','{"v":1,"d":{"state":"accepted","attempt":2,"proposal_cid":"bafyproposal9-2","term":{"start":9000,"end":1500000}}}',0,1,NULL);
INSERT INTO orders VALUES(10,2,5,'baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1001,11001,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'delivered','{"v":1,"d":{"state":"delivered","attempt":1,"proposal_cid":"bafyproposal10-1","term":{"start":9000,"end":1500000}}}',0,1,NULL);
INSERT INTO orders VALUES(11,1,5,'baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1002,11002,'{"v":1,"d":{"cause":"replicate"}}',0,'10',1000,'10000',100,'planned','{"v":1,"d":{"state":"planned"}}',0,1,NULL);
INSERT INTO orders VALUES(12,1,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1048576,1500,11500,'{"v":1,"d":{"cause":"adopt"}}',1,'7',1000,'7000',100,'active','{"v":1,"d":{"state":"active","deal":900,"term":{"start":9000,"end":1500000},"sector":null,"health":{"health":"proven","fault":null,"proven_at":null,"at":100}}}',0,0,900);
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
INSERT INTO order_slot VALUES(1,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',0,0,'closed',0);
INSERT INTO order_slot VALUES(2,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',0,1,'closed',1);
INSERT INTO order_slot VALUES(3,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',0,2,'occupying',1);
INSERT INTO order_slot VALUES(4,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,0,'active',1);
INSERT INTO order_slot VALUES(5,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,1,'watched',1);
INSERT INTO order_slot VALUES(6,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',2,0,'closed',0);
INSERT INTO order_slot VALUES(7,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',2,1,'closed',1);
INSERT INTO order_slot VALUES(8,4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',2,2,'occupying',1);
INSERT INTO order_slot VALUES(9,5,'baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',0,0,'occupying',1);
INSERT INTO order_slot VALUES(10,5,'baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,0,'occupying',1);
INSERT INTO order_slot VALUES(11,5,'baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',2,0,'occupying',1);
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
INSERT INTO proposal VALUES(3,1,'bafyproposal3-1',9000,1500000,X'00000000000000030000000000000001',X'820301','secret-3-1',40);
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
INSERT INTO attempt VALUES(1,4,5,1004,'propose','rejected','price too low',303,1303);
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
INSERT INTO step VALUES(2,'send',1,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(3,'fetch',1,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(5,'deliver',1,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(6,'deliver',2,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(7,'deliver',3,'',1301,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(8,'deliver',4,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(9,'deliver',5,'',1302,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(10,'deliver',6,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(11,'deliver',7,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(12,'deliver',8,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(13,'deliver',9,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(14,'deliver',10,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(15,'deliver',11,'',1000,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(16,'send',2,'',0,1,0,NULL,0,1,'poison');
INSERT INTO step VALUES(17,'send',3,'',0,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(18,'probe',4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',0,0,0,NULL,0,0,NULL);
INSERT INTO step VALUES(19,'evict',4,'baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1303,0,0,NULL,0,0,NULL);
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
INSERT INTO tx VALUES(1,'submit:1','local',1,'{"v":1,"d":{"intent":"submit","job":1,"cid":"0170ff","target":3,"repair":2880,"renew":86400}}','evm',1,NULL,'{"v":1,"d":{"state":"planned"}}',1,1,NULL,NULL,NULL,1);
INSERT INTO tx VALUES(2,'complete','local',NULL,'{"v":1,"d":{"intent":"complete","request":4,"deal":51,"provider":1003,"piece":"baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":1048576}}','evm',2,12,'{"v":1,"d":{"state":"stored"}}',1,NULL,NULL,4,51,1);
INSERT INTO tx VALUES(3,'escrow','local',NULL,'{"v":1,"d":{"intent":"add_balance","amount":"1000000000000000000000"}}','native',2,NULL,'{"v":1,"d":{"state":"replaced"}}',0,NULL,NULL,NULL,NULL,1);
CREATE TABLE tx_signed (
    tx INTEGER NOT NULL REFERENCES tx (id),
    form INTEGER NOT NULL,
    raw BLOB NOT NULL,
    hash TEXT NOT NULL,
    fee_cap TEXT NOT NULL,
    premium TEXT NOT NULL,
    PRIMARY KEY (tx, form)
) STRICT;
INSERT INTO tx_signed VALUES(2,0,X'0001ff','0xfeed','340282366920938463463374607431768211455','1');
CREATE TABLE cursor (
    contract TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT;
INSERT INTO cursor VALUES('0x00000000000000000000000000000000000c0de5','{"v":1,"d":{"highest":4,"next":91}}');
CREATE TABLE completion (
    contract TEXT NOT NULL,
    request INTEGER NOT NULL,
    deal INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (contract, request, deal)
) STRICT;
INSERT INTO completion VALUES('0x00000000000000000000000000000000000c0de5',4,900,91);
CREATE TABLE sighting (
    cid TEXT NOT NULL,
    deal INTEGER NOT NULL,
    request INTEGER,
    state TEXT NOT NULL CHECK (state IN ('new', 'adopted', 'unverified')),
    PRIMARY KEY (cid, deal)
) STRICT;
INSERT INTO sighting VALUES('bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',900,4,'adopted');
INSERT INTO sighting VALUES('bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',901,NULL,'unverified');
CREATE TABLE provider (
    id INTEGER PRIMARY KEY,
    on_chain TEXT NOT NULL,
    ask TEXT,
    read_at INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    backs_off_until INTEGER,
    last_failure TEXT
) STRICT;
INSERT INTO provider VALUES(1000,'{"v":1,"d":{"provider":1000,"operator":11000,"sector_bytes":34359738368,"urls":["https://sp.example"]}}','{"v":1,"d":{"price":"5","size_min":1048576,"size_max":1048576}}',300,1,364,'silence');
CREATE TABLE upload (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    root TEXT,
    job INTEGER REFERENCES job (id)
) STRICT;
INSERT INTO upload VALUES(1,'00ff','local','{"v":1,"d":{"bytes":890000,"state":"packed"}}','bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',NULL);
CREATE TABLE node_state (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO node_state VALUES('round','{"v":1,"d":[{"tipset":"bafytipset300","height":300,"eth_block":299,"head":1200,"agreed":2,"asked":2},{"hold":"head_old","head":1190,"expected":1200}]}');
INSERT INTO node_state VALUES('head','1200');
INSERT INTO node_state VALUES('breaker','{"v":1,"d":{"providers":{"1003":{"since":1,"released_at":null}},"fleet":{"since":290,"released_at":295}}}');
INSERT INTO node_state VALUES('events_read_to','300');
INSERT INTO node_state VALUES('plan','{"v":1,"d":{"plan":{"actions":[{"action":"order","slots":[{"holding":4,"index":0}],"cause":{"cause":"replicate"},"piece":"baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":1048576,"provider":1000,"operator":11000,"price_per_epoch":"10","duration":1000,"start_delay":8640,"reason":{"why":"slot_empty"},"priority":"normal"}],"waits":[{"holding":4,"slot":{"holding":4,"index":1},"for_":{"waiting_for":"gate","hold":"disagreement","agreed":1,"wanted":2},"wake":{"wake":"at","at":400}},{"holding":4,"slot":{"holding":4,"index":1},"for_":{"waiting_for":"provider","rejected":[[1000,{"unfit":"too_dear","price":"9"}]]},"wake":{"wake":"at","at":400}},{"holding":4,"slot":{"holding":4,"index":1},"for_":{"waiting_for":"budget","needed":"2","available":"1"},"wake":{"wake":"at","at":400}}]},"round":{"tipset":"bafytipset300","height":300,"eth_block":299,"head":1200,"agreed":2,"asked":2}}}');
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO meta VALUES('views/1','299');
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    holding INTEGER REFERENCES holding (id),
    at INTEGER,
    body TEXT NOT NULL
) STRICT;
INSERT INTO event VALUES(1,1,100,'{"v":1,"d":{"event":"job_registered","job":1,"cid":"bafybeiaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(2,1,NULL,'{"v":1,"d":{"event":"tx_planned","tx":1,"intent":{"intent":"submit","job":1,"cid":"0170ff","target":3,"repair":2880,"renew":86400}}}');
INSERT INTO event VALUES(3,1,NULL,'{"v":1,"d":{"event":"job_stopped","job":1}}');
INSERT INTO event VALUES(4,1,100,'{"v":1,"d":{"event":"job_registered","job":2,"cid":"bafybeiaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(5,3,100,'{"v":1,"d":{"event":"job_registered","job":3,"cid":"bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(6,3,NULL,'{"v":1,"d":{"event":"piece_linked","piece":"baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(7,4,100,'{"v":1,"d":{"event":"job_registered","job":4,"cid":"bafybeiaaaaaaaaaaaaaqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(8,4,NULL,'{"v":1,"d":{"event":"piece_linked","piece":"baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(9,4,100,'{"v":1,"d":{"event":"order_planned","order":1,"slots":[{"holding":4,"index":0}],"provider":1000,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(10,4,NULL,'{"v":1,"d":{"event":"order_changed","order":1,"from":"planned","to":"expired","deal":null,"health":null}}');
INSERT INTO event VALUES(11,4,100,'{"v":1,"d":{"event":"order_planned","order":2,"slots":[{"holding":4,"index":0}],"provider":1001,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(12,4,NULL,'{"v":1,"d":{"event":"order_changed","order":2,"from":"planned","to":"active","deal":50,"health":"proven"}}');
INSERT INTO event VALUES(13,4,NULL,'{"v":1,"d":{"event":"order_changed","order":2,"from":"active","to":"lost","deal":50,"health":{"lost":"terminated"}}}');
INSERT INTO event VALUES(14,4,301,'{"v":1,"d":{"event":"order_planned","order":3,"slots":[{"holding":4,"index":0}],"provider":1002,"cause":{"cause":"repair","of":2},"reason":{"why":"suspect","of":2,"since":250,"repair_after":2880},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(15,4,NULL,'{"v":1,"d":{"event":"order_changed","order":3,"from":"planned","to":"signed","deal":null,"health":null}}');
INSERT INTO event VALUES(16,4,100,'{"v":1,"d":{"event":"order_planned","order":4,"slots":[{"holding":4,"index":1}],"provider":1003,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(17,4,NULL,'{"v":1,"d":{"event":"order_changed","order":4,"from":"planned","to":"active","deal":51,"health":"suspect"}}');
INSERT INTO event VALUES(18,4,302,'{"v":1,"d":{"event":"order_planned","order":5,"slots":[{"holding":4,"index":1}],"provider":1004,"cause":{"cause":"renew","of":4},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(19,4,NULL,'{"v":1,"d":{"event":"order_changed","order":5,"from":"planned","to":"delivered","deal":null,"health":null}}');
INSERT INTO event VALUES(20,4,NULL,'{"v":1,"d":{"event":"order_changed","order":5,"from":"delivered","to":"rejected_watched","deal":null,"health":null}}');
INSERT INTO event VALUES(21,4,100,'{"v":1,"d":{"event":"order_planned","order":6,"slots":[{"holding":4,"index":2}],"provider":1005,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(22,4,NULL,'{"v":1,"d":{"event":"order_changed","order":6,"from":"planned","to":"cancelled","deal":null,"health":null}}');
INSERT INTO event VALUES(23,4,100,'{"v":1,"d":{"event":"order_planned","order":7,"slots":[{"holding":4,"index":2}],"provider":1006,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(24,4,NULL,'{"v":1,"d":{"event":"order_changed","order":7,"from":"planned","to":"ended","deal":52,"health":"ended"}}');
INSERT INTO event VALUES(25,4,100,'{"v":1,"d":{"event":"order_planned","order":8,"slots":[{"holding":4,"index":2}],"provider":1007,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(26,4,NULL,'{"v":1,"d":{"event":"order_changed","order":8,"from":"planned","to":"published","deal":53,"health":{"unknown":{"not_seen":"rpc_failed"}}}}');
INSERT INTO event VALUES(27,5,100,'{"v":1,"d":{"event":"job_registered","job":5,"cid":"bafybeiaaaaaaaaaaaabqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(28,5,NULL,'{"v":1,"d":{"event":"piece_linked","piece":"baga6ea4seaqaaaaaaaaaaaadaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}');
INSERT INTO event VALUES(29,5,100,'{"v":1,"d":{"event":"order_planned","order":9,"slots":[{"holding":5,"index":0}],"provider":1000,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(30,5,NULL,'{"v":1,"d":{"event":"order_changed","order":9,"from":"planned","to":"accepted","deal":null,"health":null}}');
INSERT INTO event VALUES(31,5,100,'{"v":1,"d":{"event":"order_planned","order":10,"slots":[{"holding":5,"index":1}],"provider":1001,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(32,5,NULL,'{"v":1,"d":{"event":"order_changed","order":10,"from":"planned","to":"delivered","deal":null,"health":null}}');
INSERT INTO event VALUES(33,5,100,'{"v":1,"d":{"event":"order_planned","order":11,"slots":[{"holding":5,"index":2}],"provider":1002,"cause":{"cause":"replicate"},"reason":{"why":"slot_empty"},"priority":"normal","cost":"10000"}}');
INSERT INTO event VALUES(34,NULL,1200,'{"v":1,"d":{"event":"hold_changed","hold":{"hold":"head_old","head":1190,"expected":1200}}}');
INSERT INTO event VALUES(35,4,1200,'{"v":1,"d":{"event":"order_adopted","order":12,"deal":900,"provider":1500}}');
INSERT INTO event VALUES(36,NULL,1200,'{"v":1,"d":{"event":"tx_planned","tx":2,"intent":{"intent":"complete","request":4,"deal":51,"provider":1003,"piece":"baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":1048576}}}');
INSERT INTO event VALUES(37,NULL,1200,'{"v":1,"d":{"event":"tx_planned","tx":3,"intent":{"intent":"add_balance","amount":"1000000000000000000000"}}}');
INSERT INTO event VALUES(38,NULL,1200,'{"v":1,"d":{"event":"tx_signed","tx":2,"nonce":12,"hash":"0xfeed"}}');
INSERT INTO event VALUES(39,NULL,1200,'{"v":1,"d":{"event":"tx_closed","tx":3}}');
INSERT INTO event VALUES(40,4,303,'{"v":1,"d":{"event":"evict_planned","piece":"baga6ea4seaqaaaaaaaaaaaabaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","reason":{"why":"copies_proven","proven":3,"needed":3}}}');
INSERT INTO event VALUES(41,NULL,1200,'{"v":1,"d":{"event":"step_parked","step":"send","subject":2,"why":"poison"}}');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('holding',5);
INSERT INTO sqlite_sequence VALUES('job',5);
INSERT INTO sqlite_sequence VALUES('event',41);
INSERT INTO sqlite_sequence VALUES('step',19);
INSERT INTO sqlite_sequence VALUES('tx',3);
INSERT INTO sqlite_sequence VALUES('orders',12);
INSERT INTO sqlite_sequence VALUES('attempt',1);
INSERT INTO sqlite_sequence VALUES('upload',1);
CREATE INDEX holding_cid ON holding (cid);
CREATE INDEX job_holding ON job (holding);
CREATE INDEX job_open ON job (holding) WHERE open = 1;
CREATE INDEX piece_root ON piece (root);
CREATE INDEX orders_holding ON orders (holding);
CREATE INDEX orders_open ON orders (holding) WHERE closed = 0;
CREATE INDEX orders_reserving ON orders (id) WHERE reserves = 1;
CREATE INDEX orders_planned_at ON orders (planned_at);
CREATE UNIQUE INDEX orders_deal ON orders (deal) WHERE deal IS NOT NULL;
CREATE INDEX order_slot_kept ON order_slot (holding) WHERE kept = 1;
CREATE UNIQUE INDEX order_slot_occupied ON order_slot (holding, piece, slot) WHERE phase = 'occupying';
CREATE INDEX attempt_holding ON attempt (holding, id);
CREATE INDEX step_due ON step (due) WHERE parked = 0;
CREATE UNIQUE INDEX tx_open_key ON tx (key) WHERE open = 1;
CREATE INDEX tx_open ON tx (id) WHERE open = 1;
CREATE INDEX tx_complete ON tx (request, deal) WHERE deal IS NOT NULL;
CREATE INDEX tx_signed_hash ON tx_signed (LOWER(hash));
CREATE INDEX sighting_state ON sighting (state);
CREATE INDEX event_holding ON event (holding, seq);
COMMIT;

-- Several contracts: what each takes, of which one a sighting's request is, and jobs whose policy nobody knows.

-- The contracts of the configuration the node was last started with. `completes`: 'direct' or 'in_aggregate'.
CREATE TABLE deployment (
    contract TEXT PRIMARY KEY,
    completes TEXT NOT NULL CHECK (completes IN ('direct', 'in_aggregate'))
) STRICT;

-- 0: the event is lost and the contract stores no policies. The job's policy stands for nothing then.
ALTER TABLE job ADD COLUMN policy_known INTEGER NOT NULL DEFAULT 1 CHECK (policy_known IN (0, 1));

-- Whose request it is. There was one contract before; where it is not known which, the request says nothing.
ALTER TABLE sighting ADD COLUMN contract TEXT;
UPDATE sighting SET contract = (
    SELECT j.contract FROM job j JOIN holding h ON h.id = j.holding
    WHERE h.cid = sighting.cid AND j.request = sighting.request LIMIT 1)
    WHERE request IS NOT NULL;
UPDATE sighting SET request = NULL WHERE contract IS NULL;

-- A completion names its contract, so that it cannot go to another one after the configuration has changed.
UPDATE tx SET intent = json_set(intent, '$.d.contract', contract) WHERE contract IS NOT NULL;

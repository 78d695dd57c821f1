-- Keys of the API. Of the secret only its hash is here: 256 random bits need no slow one.
CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    name TEXT NOT NULL,
    made_unix INTEGER NOT NULL,
    expires_unix INTEGER,
    revoked_unix INTEGER
) STRICT;

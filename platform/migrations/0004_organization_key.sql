-- What is public of the organization's key, one row per generation. Rows are only ever added.
CREATE TABLE organization_key (
    organization_id TEXT NOT NULL REFERENCES organization,
    generation      INTEGER NOT NULL,
    statement       BLOB NOT NULL,
    made_by         TEXT NOT NULL REFERENCES runtime_target,
    made_at         INTEGER NOT NULL,
    PRIMARY KEY (organization_id, generation)
) STRICT;

-- The keys of viewing devices for which generations are wrapped.
CREATE TABLE wrapping_key (
    runtime_target_id TEXT PRIMARY KEY REFERENCES runtime_target,
    organization_id   TEXT NOT NULL REFERENCES organization,
    public_key        BLOB NOT NULL,
    signature         BLOB NOT NULL,
    registered_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX wrapping_key_organization ON wrapping_key (organization_id);

-- The latest generation that was wrapped for a device. Only that device opens it.
CREATE TABLE handover (
    runtime_target_id TEXT PRIMARY KEY REFERENCES runtime_target,
    organization_id   TEXT NOT NULL REFERENCES organization,
    generation        INTEGER NOT NULL,
    wrapped           BLOB NOT NULL,
    given_by          TEXT NOT NULL REFERENCES runtime_target,
    given_at          INTEGER NOT NULL
) STRICT;
CREATE INDEX handover_organization ON handover (organization_id);

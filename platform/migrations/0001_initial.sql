-- Times are unix seconds. Tokens that open something are kept as their SHA-256 only.

CREATE TABLE account (
    id         TEXT PRIMARY KEY,
    email      TEXT NOT NULL COLLATE NOCASE UNIQUE,
    name       TEXT NOT NULL,
    password   TEXT NOT NULL, -- PHC string of argon2id
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
    token_hash BLOB PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_account ON session (account_id);

CREATE TABLE setup (
    token_hash BLOB PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT;

-- A deleted workspace stays as a row, so that its credentials are refused with the right reason.
CREATE TABLE organization (
    id          TEXT PRIMARY KEY,
    slug        TEXT NOT NULL,
    name        TEXT NOT NULL,
    policy_mode TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    deleted_at  INTEGER
) STRICT;
CREATE UNIQUE INDEX organization_slug ON organization (slug) WHERE deleted_at IS NULL;

CREATE TABLE membership (
    organization_id TEXT NOT NULL REFERENCES organization,
    account_id      TEXT NOT NULL REFERENCES account,
    role            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (organization_id, account_id)
) STRICT;
CREATE INDEX membership_account ON membership (account_id);

CREATE TABLE invitation (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organization,
    token_hash      BLOB NOT NULL UNIQUE,
    role            TEXT NOT NULL,
    label           TEXT NOT NULL, -- for whom, in the admin's words
    invited_by      TEXT NOT NULL REFERENCES account,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    closed_at       INTEGER -- accepted or withdrawn
) STRICT;
CREATE INDEX invitation_organization ON invitation (organization_id);

-- Approval: three rows in one workspace (S34 to S37). Nothing in them is shared with another workspace.
CREATE TABLE install (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organization,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE machine (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organization,
    install_id      TEXT NOT NULL REFERENCES install,
    owner_id        TEXT NOT NULL REFERENCES account,
    kind            TEXT NOT NULL,
    name            TEXT NOT NULL,
    software        TEXT NOT NULL,
    paired_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX machine_organization ON machine (organization_id);

CREATE TABLE runtime_target (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organization,
    install_id      TEXT NOT NULL REFERENCES install,
    machine_id      TEXT NOT NULL UNIQUE REFERENCES machine,
    identity_key    BLOB NOT NULL,
    static_key      BLOB NOT NULL,
    psk             BLOB,
    generation      INTEGER NOT NULL,
    last_seen_at    INTEGER,
    revoked_at      INTEGER
) STRICT;

-- What relays are told, in order.
CREATE TABLE revocation (
    number            INTEGER PRIMARY KEY AUTOINCREMENT,
    runtime_target_id TEXT,
    organization_id   TEXT,
    at                INTEGER NOT NULL
) STRICT;

CREATE TABLE pairing_code (
    code              TEXT PRIMARY KEY,
    token_hash        BLOB NOT NULL,
    kind              TEXT NOT NULL,
    mode              TEXT NOT NULL,
    asked             TEXT,
    name              TEXT NOT NULL,
    software          TEXT NOT NULL,
    identity_key      BLOB NOT NULL,
    static_key        BLOB NOT NULL,
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    guesses           INTEGER NOT NULL,
    decision          TEXT,
    decided_by        TEXT REFERENCES account,
    organization_id   TEXT REFERENCES organization,
    answer            TEXT -- what every poll gets after an approval
) STRICT;
CREATE INDEX pairing_code_expiry ON pairing_code (expires_at);

CREATE TABLE signing_key (
    seed        BLOB PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    active_from INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id TEXT REFERENCES organization,
    at              INTEGER NOT NULL,
    actor_id        TEXT REFERENCES account,
    action          TEXT NOT NULL,
    subject         TEXT NOT NULL
) STRICT;
CREATE INDEX audit_organization ON audit (organization_id, number);

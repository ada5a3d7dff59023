-- The one row that the health check writes.
CREATE TABLE health (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    checked_at INTEGER NOT NULL
) STRICT;

-- An invitation ends with the right of who made it: those of former admins are closed.
UPDATE invitation SET closed_at = created_at WHERE closed_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM membership WHERE membership.organization_id = invitation.organization_id
        AND membership.account_id = invitation.invited_by AND membership.role = 'admin');

-- Browsers in which an account signed in before: wrong passwords from elsewhere do not slow them down.
CREATE TABLE known_browser (
    token_hash BLOB PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX known_browser_account ON known_browser (account_id, expires_at);

-- A key that leaked is in no key set from then on; what it signed can still be renewed.
ALTER TABLE signing_key ADD COLUMN withdrawn_at INTEGER;

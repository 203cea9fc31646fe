-- The embedded queue (package contacts/platform/queue/embedded). Times are milliseconds since the
-- epoch, UTC.

-- AUTOINCREMENT: a number is never used again, so an old receipt can never name a newer message.
CREATE TABLE queue_messages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id TEXT    NOT NULL,
    body     TEXT    NOT NULL,
    sent_at  INTEGER NOT NULL
);

CREATE INDEX queue_messages_by_group ON queue_messages (group_id, sequence);

-- One row for each group that has messages.
CREATE TABLE queue_groups (
    group_id   TEXT    NOT NULL PRIMARY KEY,
    -- The group's oldest message: the only one that can be received.
    head       INTEGER NOT NULL,
    -- How often the head was delivered.
    attempts   INTEGER NOT NULL DEFAULT 0,
    -- The claim under which the head was delivered last; NULL while it waits.
    token      TEXT,
    -- While the head waits: since when. While it is claimed: until when.
    visible_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Waiting groups in the order of their turn, and claimed ones in the order in which their claims
-- run out: what can be received is found at the front of the two, however many groups there are.
CREATE INDEX queue_groups_waiting ON queue_groups (visible_at, head) WHERE token IS NULL;
CREATE INDEX queue_groups_claimed ON queue_groups (visible_at, head) WHERE token IS NOT NULL;

CREATE TABLE queue_deduplications (
    group_id         TEXT    NOT NULL,
    deduplication_id TEXT    NOT NULL,
    expires_at       INTEGER NOT NULL,
    PRIMARY KEY (group_id, deduplication_id)
) WITHOUT ROWID;

CREATE INDEX queue_deduplications_by_expiry ON queue_deduplications (expires_at);

-- Times are milliseconds since 1970 in UTC. What SQL must compare has a column; the whole of a heal or message is JSON in `doc`.

CREATE TABLE heal (
    id            TEXT    NOT NULL PRIMARY KEY,
    rule          TEXT    NOT NULL,
    target        TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    -- When it must be looked at; nothing that is open is without.
    due_at        INTEGER,
    -- What the current step touches, set exactly while it acts.
    action_target TEXT,
    lease_owner   TEXT,
    lease_until   INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    doc           TEXT    NOT NULL,
    CHECK ((ended_at IS NULL) = (due_at IS NOT NULL)),
    CHECK ((state = 'acting') = (action_target IS NOT NULL))
) STRICT;

-- One open heal per rule and target.
CREATE UNIQUE INDEX heal_open ON heal (rule, target) WHERE ended_at IS NULL;
-- One action at a time per target, across rules.
CREATE UNIQUE INDEX heal_acting ON heal (action_target) WHERE action_target IS NOT NULL;
-- What to look at next, state by state, without the rules that reached a limit; also counts the open ones without
-- touching a document.
CREATE INDEX heal_due ON heal (state, due_at, rule) WHERE due_at IS NOT NULL;
-- What to delete next, and counting again, for reports by rule.
CREATE INDEX heal_ended ON heal (ended_at, state, rule) WHERE ended_at IS NOT NULL;

-- The memory of one alert under one rule and target, of which there is one row each. It outlives its heal, hence no
-- foreign key. Fingerprints are hashes: an index on them would dirty a page of its own for each new alert, so the one
-- process that owns the file keeps that index in memory.
-- starts_at and ends_at are kept as told, to the nanosecond: decisions compare them, SQL does not.
CREATE TABLE episode (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT    NOT NULL,
    rule        TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    heal        TEXT,
    status      TEXT    NOT NULL,
    starts_at   TEXT    NOT NULL,
    ends_at     TEXT,
    seen_at     INTEGER NOT NULL,
    ended       TEXT
) STRICT;

-- Attempts that began, for the limits within an hour and other windows. An attempt that could not even be tried keeps
-- its number, and so its row. They outlive their heal where little history is kept, hence no foreign key.
CREATE TABLE attempt (
    heal       TEXT    NOT NULL,
    step       INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    rule       TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (heal, step, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_started ON attempt (started_at);
CREATE INDEX attempt_rule ON attempt (rule, started_at);

-- When each target of a rule that watches for storms was last asked for.
CREATE TABLE sighting (
    rule    TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (rule, target)
) STRICT, WITHOUT ROWID;

CREATE INDEX sighting_seen ON sighting (rule, seen_at);

-- The last storm of a rule that was noticed and told.
CREATE TABLE storm (
    rule  TEXT    NOT NULL PRIMARY KEY,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Alerts that fire, as far as is known, and that some rule must not act beside.
CREATE TABLE blocker (
    fingerprint TEXT    NOT NULL PRIMARY KEY,
    labels      TEXT    NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Heals for which a human has been called, each with when that is looked at again. Few at any time.
CREATE TABLE call (
    heal    TEXT    NOT NULL PRIMARY KEY REFERENCES heal (id) ON DELETE CASCADE,
    look_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX call_due ON call (look_at);

-- Until these end nothing new starts of what they cover. There are never many.
CREATE TABLE pause (
    id    TEXT    NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL,
    -- Whether a human was told that it holds heals back for too long.
    told  INTEGER NOT NULL DEFAULT FALSE,
    doc   TEXT    NOT NULL
) STRICT;

-- Messages committed with the change they tell; status is waiting, sent, dead (given up, until somebody decides) or
-- discarded (by somebody).
CREATE TABLE outbox (
    id         TEXT    NOT NULL PRIMARY KEY,
    heal       TEXT    NOT NULL REFERENCES heal (id) ON DELETE CASCADE,
    channel    TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    doc        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    -- From when on it counts how long it could not be delivered.
    since      INTEGER NOT NULL,
    -- Whether it was kept for later so that people have their peace; it goes together with others then.
    held       INTEGER NOT NULL DEFAULT 0,
    tries      INTEGER NOT NULL DEFAULT 0,
    status     TEXT    NOT NULL DEFAULT 'waiting',
    -- The process that is delivering it; its claim lapses when due_at comes, or when that process is known to be gone.
    claimed_by TEXT,
    last_error TEXT
) STRICT;

-- What must go first: the earlier messages of the same heal on the same channel.
CREATE INDEX outbox_heal ON outbox (heal, channel, id);
-- Sent messages are the many; what still matters is found without them.
CREATE INDEX outbox_unsent ON outbox (status, due_at) WHERE status <> 'sent';

-- What a channel's notifier remembers of a heal, such as the message that it edits.
CREATE TABLE memory (
    heal    TEXT NOT NULL REFERENCES heal (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    doc     TEXT NOT NULL,
    PRIMARY KEY (heal, channel)
) STRICT, WITHOUT ROWID;

-- Jobs that were begun at any time: who has the lock until when, and how the last run went.
CREATE TABLE job (
    name  TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL -- JSON
) STRICT;

-- What a machine has had in all, and the counters as they were last read.
CREATE TABLE traffic (
    vm             TEXT PRIMARY KEY NOT NULL REFERENCES vm (key),
    since          INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    uptime         INTEGER NOT NULL, -- seconds
    last_received  INTEGER NOT NULL, -- bytes, as the rest
    last_sent      INTEGER NOT NULL,
    total_received INTEGER NOT NULL,
    total_sent     INTEGER NOT NULL
) STRICT;

CREATE TABLE traffic_day (
    vm       TEXT NOT NULL REFERENCES vm (key),
    day      TEXT NOT NULL, -- UTC
    received INTEGER NOT NULL,
    sent     INTEGER NOT NULL,
    PRIMARY KEY (vm, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX traffic_day_day ON traffic_day (day);

-- Machines that were seen locked, and since when each look has shown that.
CREATE TABLE seen_lock (
    vm    TEXT PRIMARY KEY NOT NULL REFERENCES vm (key),
    lock  TEXT NOT NULL,
    since INTEGER NOT NULL
) STRICT;

-- Jobs that were begun at any time: who has the lock until when, and how the last run went.
CREATE TABLE $schema.job (
    name  text PRIMARY KEY,
    state jsonb NOT NULL
);

-- What a machine has had in all, and the counters as they were last read.
CREATE TABLE $schema.traffic (
    vm             uuid PRIMARY KEY,
    since          timestamptz NOT NULL,
    at             timestamptz NOT NULL,
    uptime         bigint NOT NULL, -- seconds
    last_received  bigint NOT NULL, -- bytes, as the rest
    last_sent      bigint NOT NULL,
    total_received bigint NOT NULL,
    total_sent     bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE $schema.traffic_day (
    vm       uuid NOT NULL,
    day      date NOT NULL, -- UTC
    received bigint NOT NULL,
    sent     bigint NOT NULL,
    PRIMARY KEY (vm, day)
) WITH (fillfactor = 70);

CREATE INDEX traffic_day_day ON $schema.traffic_day (day);

-- Machines that were seen locked, and since when each look has shown that.
CREATE TABLE $schema.seen_lock (
    vm    uuid PRIMARY KEY,
    lock  text NOT NULL,
    since timestamptz NOT NULL
);

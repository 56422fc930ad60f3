-- DNS: a queue of its own beside the machines, and what is known of each record.

-- Which zones there are, as a fingerprint, and how many times that was changed.
CREATE TABLE dns_plan (
    fingerprint INTEGER,
    number      INTEGER NOT NULL
) STRICT;

INSERT INTO dns_plan VALUES (NULL, 0);

-- One row for each machine that ever had something to publish. Rows are never deleted: their tokens must not come again.
CREATE TABLE dns_machine (
    vm            TEXT PRIMARY KEY NOT NULL REFERENCES vm (key),
    mark          INTEGER NOT NULL DEFAULT 0, -- counts what may have changed its records
    asked         INTEGER NOT NULL DEFAULT 0, -- the mark of the last thorough turn that was asked for
    done          INTEGER NOT NULL DEFAULT 0, -- the mark that the last finished turn began with
    plan          INTEGER NOT NULL DEFAULT 0, -- the number of the zones that it was judged by
    due_at        INTEGER,                    -- 0: at once
    token         INTEGER NOT NULL DEFAULT 0, -- grows with every claim
    claimed_until INTEGER,
    claimed_mark  INTEGER NOT NULL DEFAULT 0,
    claimed_plan  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX dns_machine_due ON dns_machine (due_at, vm) WHERE due_at IS NOT NULL;
CREATE INDEX dns_machine_plan ON dns_machine (plan, vm);

CREATE TABLE dns_name (
    vm      TEXT NOT NULL REFERENCES vm (key),
    address BLOB NOT NULL,
    name    TEXT NOT NULL,
    PRIMARY KEY (vm, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE dns_entry (
    vm         TEXT NOT NULL REFERENCES vm (key),
    provider   TEXT NOT NULL,
    zone       TEXT NOT NULL,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    data       TEXT NOT NULL,
    ttl        INTEGER NOT NULL,
    state      TEXT NOT NULL,
    failures   INTEGER NOT NULL,
    last_error TEXT,
    next_try   INTEGER,
    in_doubt   INTEGER,
    PRIMARY KEY (vm, provider, zone, name, kind, data)
) STRICT, WITHOUT ROWID;

CREATE INDEX dns_entry_name ON dns_entry (provider, zone, name);

-- Marks are made by the database itself, in the transaction that changes what the records follow from: no commit can forget to.
CREATE TRIGGER dns_mark AFTER UPDATE OF addresses, operation, fqdn ON vm
WHEN OLD.addresses IS NOT NEW.addresses OR OLD.operation IS NOT NEW.operation OR OLD.fqdn IS NOT NEW.fqdn
BEGIN
    INSERT INTO dns_machine (vm, mark, due_at) VALUES (NEW.key, 1, 0)
    ON CONFLICT (vm) DO UPDATE SET mark = mark + 1, due_at = 0;
END;

-- Machines that were there before.
INSERT INTO dns_machine (vm, mark, due_at) SELECT key, 1, 0 FROM vm WHERE addresses <> '[]' AND NOT terminated;

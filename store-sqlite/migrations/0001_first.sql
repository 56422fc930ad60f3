-- Times are microseconds since 1970 (UTC). Names, UUIDs and JSON are text, so that a person can read the file with the
-- sqlite3 shell; addresses are 16 bytes, big-endian (IPv4 as ::ffff:a.b.c.d), so that their order is that of the bytes.

CREATE TABLE cluster (
    name       TEXT PRIMARY KEY NOT NULL,
    first_vmid INTEGER NOT NULL,
    last_vmid  INTEGER NOT NULL,
    quarantine INTEGER NOT NULL, -- microseconds
    next_vmid  INTEGER NOT NULL  -- numbers are given in turn: where the search begins
) STRICT;

-- One row for each run of a process. Rows outlive their time, so that a late heartbeat is recognised.
CREATE TABLE worker (
    id          TEXT PRIMARY KEY NOT NULL,
    info        TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT;

CREATE TABLE vm (
    id           INTEGER PRIMARY KEY, -- the order of the orders
    key          TEXT NOT NULL UNIQUE,
    external_ref TEXT NOT NULL,
    cluster      TEXT NOT NULL REFERENCES cluster (name),
    vmid         INTEGER NOT NULL,
    fqdn         TEXT NOT NULL,
    pve_name     TEXT NOT NULL,
    spec_version INTEGER NOT NULL,
    spec         TEXT NOT NULL, -- JSON
    macs         TEXT NOT NULL, -- JSON
    metadata     TEXT NOT NULL, -- JSON
    created_at   INTEGER NOT NULL,
    operation    TEXT NOT NULL,
    step         TEXT NOT NULL,
    progress     TEXT NOT NULL, -- JSON
    failures     INTEGER NOT NULL,
    due_at       INTEGER,       -- null: on command
    attention    TEXT,          -- JSON
    waiting      TEXT,          -- JSON
    node         TEXT NOT NULL,
    smbios       TEXT,
    slots        TEXT NOT NULL, -- JSON
    addresses    TEXT NOT NULL, -- JSON
    remembered   TEXT NOT NULL, -- JSON
    terminated   INTEGER NOT NULL DEFAULT 0,
    owner        TEXT,
    epoch        INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX vm_reference ON vm (external_ref) WHERE terminated = 0;
CREATE UNIQUE INDEX vm_number ON vm (cluster, vmid) WHERE terminated = 0;
CREATE INDEX vm_history ON vm (external_ref, created_at);
CREATE INDEX vm_cluster ON vm (cluster, key);
-- Finds orders in a form newer than the program without looking at them all.
CREATE INDEX vm_form ON vm (spec_version);
-- What claiming looks at: its cost does not depend on how many machines rest or are leased.
CREATE INDEX vm_due ON vm (due_at, key) WHERE due_at IS NOT NULL AND owner IS NULL;
CREATE INDEX vm_owner ON vm (owner) WHERE owner IS NOT NULL;

-- Numbers that nobody else may get: of machines (until is null) and in quarantine.
CREATE TABLE vmid_reservation (
    cluster    TEXT NOT NULL REFERENCES cluster (name),
    vmid       INTEGER NOT NULL,
    vm         TEXT NOT NULL REFERENCES vm (key),
    instead_of INTEGER, -- the number that turned out to be a stranger's
    until      INTEGER,
    PRIMARY KEY (cluster, vmid)
) STRICT, WITHOUT ROWID;

CREATE INDEX vmid_reservation_vm ON vmid_reservation (vm);
CREATE INDEX vmid_reservation_until ON vmid_reservation (cluster, until) WHERE until IS NOT NULL;

CREATE TABLE command (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    vm      TEXT NOT NULL REFERENCES vm (key),
    id      TEXT NOT NULL,
    command TEXT NOT NULL -- JSON
) STRICT;

CREATE INDEX command_vm ON command (vm, seq);

CREATE TABLE deploy_log (
    id        INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: a cursor
    vm        TEXT NOT NULL REFERENCES vm (key),
    at        INTEGER NOT NULL,
    operation TEXT NOT NULL,
    step      TEXT NOT NULL,
    event     TEXT NOT NULL, -- JSON
    times     INTEGER NOT NULL DEFAULT 1,
    last_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX deploy_log_vm ON deploy_log (vm, id);

CREATE TABLE outbox (
    id     INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: receivers drop repetitions by it
    vm     TEXT NOT NULL REFERENCES vm (key),
    at     INTEGER NOT NULL,
    notice TEXT NOT NULL -- JSON
) STRICT;

CREATE TABLE pool (
    name       TEXT PRIMARY KEY NOT NULL,
    cluster    TEXT NOT NULL,
    definition TEXT NOT NULL -- JSON
) STRICT;

CREATE INDEX pool_cluster ON pool (cluster);

-- What a pool may give, whoever holds it now.
CREATE TABLE usable_range (
    pool  TEXT NOT NULL REFERENCES pool (name),
    first BLOB NOT NULL,
    last  BLOB NOT NULL,
    PRIMARY KEY (pool, first)
) STRICT, WITHOUT ROWID;

-- What a pool can give now: usable, not held, not resting.
CREATE TABLE free_range (
    pool  TEXT NOT NULL REFERENCES pool (name),
    first BLOB NOT NULL,
    last  BLOB NOT NULL,
    PRIMARY KEY (pool, first)
) STRICT, WITHOUT ROWID;

-- Addresses that are held (until is null) or rest.
CREATE TABLE address (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they were taken
    cluster TEXT NOT NULL,
    address BLOB NOT NULL,
    pool    TEXT NOT NULL REFERENCES pool (name),
    vm      TEXT NOT NULL REFERENCES vm (key),
    nic     INTEGER NOT NULL,
    until   INTEGER,
    UNIQUE (cluster, address)
) STRICT;

CREATE INDEX address_held ON address (vm) WHERE until IS NULL;
CREATE INDEX address_resting ON address (pool, until) WHERE until IS NOT NULL;
CREATE INDEX address_pool ON address (pool, address);

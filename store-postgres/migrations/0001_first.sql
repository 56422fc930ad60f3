-- $schema stands for the store's own schema. Times are timestamptz, durations are microseconds, JSON is jsonb.

CREATE TABLE $schema.cluster (
    name       text PRIMARY KEY,
    first_vmid integer NOT NULL,
    last_vmid  integer NOT NULL,
    quarantine bigint NOT NULL,  -- microseconds
    next_vmid  integer NOT NULL  -- numbers are given in turn: where the search begins
);

-- One row for each run of a worker. Rows outlive their time, so that a late heartbeat is recognised.
CREATE TABLE $schema.worker (
    id          uuid PRIMARY KEY,
    info        text NOT NULL,
    started_at  timestamptz NOT NULL,
    lease_until timestamptz NOT NULL
);

-- One row for each connection that writes. Every transaction of it changes the row: so deleting it ends the session, waits
-- for what is under way, and says which transaction was the last. Where the network delivers late that one was to begin, there may be
-- two of an id: the other one has written nothing.
CREATE TABLE $schema.session (
    id    uuid NOT NULL,
    batch bigint NOT NULL,
    at    timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX session_id ON $schema.session (id);

-- What was ordered: written once, and again only where the number changes.
CREATE TABLE $schema.vm (
    key          uuid PRIMARY KEY,
    id           bigint GENERATED ALWAYS AS IDENTITY, -- the order of the orders
    external_ref text NOT NULL,
    cluster      text NOT NULL REFERENCES $schema.cluster (name),
    vmid         integer NOT NULL,
    fqdn         text NOT NULL,
    pve_name     text NOT NULL,
    spec_version integer NOT NULL,
    spec         jsonb NOT NULL,
    macs         jsonb NOT NULL,
    metadata     json NOT NULL, -- the embedder's, kept as it was written
    created_at   timestamptz NOT NULL,
    terminated   boolean NOT NULL DEFAULT false
);

CREATE UNIQUE INDEX vm_reference ON $schema.vm (external_ref) WHERE NOT terminated;
CREATE UNIQUE INDEX vm_number ON $schema.vm (cluster, vmid) WHERE NOT terminated;
CREATE INDEX vm_history ON $schema.vm (external_ref, created_at);
CREATE INDEX vm_cluster ON $schema.vm (cluster, key);
-- Finds orders in a form newer than the program without looking at them all.
CREATE INDEX vm_form ON $schema.vm (spec_version);

-- How far each machine is: narrow, with few indexes, because every turn writes it.
CREATE TABLE $schema.vm_state (
    key          uuid PRIMARY KEY,
    spec_version integer NOT NULL, -- the order's, so that claims need not look there
    operation    text NOT NULL,
    step         text NOT NULL,
    progress     jsonb NOT NULL,
    failures     bigint NOT NULL,
    due_at       timestamptz,    -- null: on command
    attention    jsonb,
    waiting      jsonb,
    node         text NOT NULL,
    smbios       uuid,
    slots        jsonb NOT NULL,
    addresses    jsonb NOT NULL,
    remembered   jsonb NOT NULL,
    pending      jsonb NOT NULL DEFAULT '[]', -- commands, in the order in which they came
    owner        uuid,
    epoch        bigint NOT NULL DEFAULT 0
) WITH (
    fillfactor = 70,
    -- Whoever looks for what is due walks over what is dead in that index until it is vacuumed. By default that would be after
    -- 200,000 dead rows beside a million machines at rest; and then not even so, as hardly any page of the table has one.
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_scale_factor = 0,
    vacuum_index_cleanup = on,
    autovacuum_analyze_scale_factor = 0.02
);

-- What claiming looks at: its cost does not depend on how many machines rest or are leased.
CREATE INDEX vm_due ON $schema.vm_state (due_at, key) WHERE due_at IS NOT NULL AND owner IS NULL;
CREATE INDEX vm_owner ON $schema.vm_state (owner) WHERE owner IS NOT NULL;

-- Numbers that nobody else may get: of machines (until is null) and in quarantine.
CREATE TABLE $schema.vmid_reservation (
    cluster    text NOT NULL REFERENCES $schema.cluster (name),
    vmid       integer NOT NULL,
    vm         uuid NOT NULL,
    instead_of integer, -- the number that turned out to be a stranger's
    until      timestamptz,
    PRIMARY KEY (cluster, vmid)
);

CREATE INDEX vmid_reservation_vm ON $schema.vmid_reservation (vm);
CREATE INDEX vmid_reservation_until ON $schema.vmid_reservation (cluster, until) WHERE until IS NOT NULL;

CREATE TABLE $schema.deploy_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vm        uuid NOT NULL,
    at        timestamptz NOT NULL,
    operation text NOT NULL,
    step      text NOT NULL,
    event     jsonb NOT NULL,
    times     bigint NOT NULL DEFAULT 1,
    last_at   timestamptz NOT NULL
) WITH (fillfactor = 90);

CREATE INDEX deploy_log_vm ON $schema.deploy_log (vm, id);

-- Lines are committed in another order than they are numbered. Whoever reads on from a number must not pass one that is
-- still to come: so every transaction that writes lines holds, from before it draws its first number to its end, a lock that
-- says above which number its lines are. The lock is shared; it is only looked at (pg_locks), never waited for. One is enough
-- for a transaction, and more, for one that orders thousands of machines, would fill the server's table of locks. The setting
-- that remembers it lasts as long as the lock: where a savepoint is rolled back to, both are gone.
CREATE FUNCTION $schema.note_log_writer() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF current_setting('$schema.writes_log', true) = 'yes' THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('$schema.writes_log', 'yes', true);
    PERFORM pg_advisory_xact_lock_shared(
        (TG_RELID::bigint & 2147483647)::integer,
        (SELECT (CASE WHEN is_called THEN last_value ELSE 0 END & 2147483647)::integer FROM $schema.deploy_log_id_seq)
    );
    RETURN NULL;
END
$body$;

CREATE TRIGGER deploy_log_writer BEFORE INSERT ON $schema.deploy_log
    FOR EACH STATEMENT EXECUTE FUNCTION $schema.note_log_writer();

CREATE TABLE $schema.outbox (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vm     uuid NOT NULL,
    at     timestamptz NOT NULL,
    notice jsonb NOT NULL,
    worker uuid -- who delivers it, as long as it lives
);

CREATE INDEX outbox_vm ON $schema.outbox (vm, id);

CREATE TABLE $schema.pool (
    name       text PRIMARY KEY,
    cluster    text NOT NULL,
    definition jsonb NOT NULL
);

CREATE INDEX pool_cluster ON $schema.pool (cluster);

-- What a pool may give, whoever holds it now.
CREATE TABLE $schema.usable_range (
    pool  text NOT NULL REFERENCES $schema.pool (name),
    first inet NOT NULL,
    last  inet NOT NULL,
    PRIMARY KEY (pool, first)
);

-- What a pool can give now: usable, not held, not resting.
CREATE TABLE $schema.free_range (
    pool  text NOT NULL REFERENCES $schema.pool (name),
    first inet NOT NULL,
    last  inet NOT NULL,
    PRIMARY KEY (pool, first)
);

-- Addresses that are held (until is null) or rest.
CREATE TABLE $schema.address (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order in which they were taken
    cluster text NOT NULL,
    address inet NOT NULL,
    pool    text NOT NULL REFERENCES $schema.pool (name),
    vm      uuid NOT NULL,
    nic     smallint NOT NULL,
    until   timestamptz,
    UNIQUE (cluster, address)
);

CREATE INDEX address_held ON $schema.address (vm) WHERE until IS NULL;
CREATE INDEX address_resting ON $schema.address (pool, until) WHERE until IS NOT NULL;
CREATE INDEX address_pool ON $schema.address (pool, address);

-- Writes down commits of different machines, each under its lease, as transaction `of_batch` of the session of a connection, and
-- says by their places (from one) which were written; null where there is no such session. Nulls leave a column as it is, or a
-- flag says that it becomes null; where an array is shorter, the rest of it is null.
--
-- It is a function so that its statements are planned once for each process of the server, also behind a pooler. Their plan
-- must not depend on how few machines there were then: rows are found by their keys.
--
-- Log lines, notices and commands depend on the row that was changed: a lease that is not the caller's any more changes nothing
-- at all. The commands are in the row, and what is computed from them is computed from the row: where another transaction has
-- just queued one, the statement waits for it and then computes from the new row. From a table of commands it would read what
-- was there when it began.
--
-- A row that somebody else has locked (a person in a session of their own) is not waited for for long: the commits of the other
-- machines are then written without it.
CREATE FUNCTION $schema.write_commits(
    of_session uuid, of_batch bigint, clock timestamptz,
    keys uuid[], owners uuid[], epochs bigint[], releases boolean[], operations text[], steps text[], progresses jsonb[],
    failure_counts bigint[], dues boolean[], due_times timestamptz[], attends boolean[], attentions jsonb[], waits boolean[],
    waitings jsonb[], nodes text[], knows boolean[], identities uuid[], slot_lists jsonb[], address_lists jsonb[],
    remembered_sets jsonb[], consumes text[], log_times timestamptz[], log_operations text[], log_steps text[],
    log_events jsonb[], notices jsonb[]
) RETURNS bigint[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET lock_timeout = '3s'
AS $body$
DECLARE
    written bigint[];
BEGIN
    UPDATE $schema.session SET batch = of_batch, at = now() WHERE id = of_session;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    WITH done AS (
        UPDATE $schema.vm_state AS state SET
            operation  = coalesce(item.operation, state.operation),
            step       = coalesce(item.step, state.step),
            progress   = coalesce(item.progress, state.progress),
            failures   = coalesce(item.failures, state.failures),
            attention  = CASE WHEN item.attends THEN item.attention ELSE state.attention END,
            waiting    = CASE WHEN item.waits THEN item.waiting ELSE state.waiting END,
            node       = coalesce(item.node, state.node),
            smbios     = CASE WHEN item.knows THEN item.smbios ELSE state.smbios END,
            slots      = coalesce(item.slots, state.slots),
            addresses  = coalesce(item.addresses, state.addresses),
            remembered = coalesce(item.remembered, state.remembered),
            owner      = CASE WHEN item.release THEN NULL ELSE state.owner END,
            pending    = CASE
                WHEN state.pending = '[]' OR item.consumed IS NULL THEN state.pending
                ELSE jsonb_path_query_array(
                    state.pending, '$[*] ? (@.id != $consumed)', jsonb_build_object('consumed', item.consumed)
                )
            END,
            due_at     = CASE
                WHEN item.due IS NOT TRUE THEN state.due_at
                WHEN state.pending <> '[]' AND (item.consumed IS NULL OR jsonb_path_exists(
                    state.pending, '$[*] ? (@.id != $consumed)', jsonb_build_object('consumed', item.consumed)
                )) THEN least(item.due_at, coalesce(clock, now()))
                ELSE item.due_at
            END
        FROM unnest(
            keys, owners, epochs, releases, operations, steps, progresses, failure_counts, dues, due_times, attends, attentions,
            waits, waitings, nodes, knows, identities, slot_lists, address_lists, remembered_sets, consumes
        ) WITH ORDINALITY AS item (
            key, owner, epoch, release, operation, step, progress, failures, due, due_at, attends, attention,
            waits, waiting, node, knows, smbios, slots, addresses, remembered, consumed, n
        )
        WHERE state.key = item.key AND state.owner = item.owner AND state.epoch = item.epoch
        RETURNING item.n
    )
    SELECT coalesce(array_agg(done.n), '{}') INTO written FROM done;
    IF cardinality(log_events) > 0 THEN
        WITH line AS MATERIALIZED (
            SELECT line.*, last.id AS repeats
            FROM unnest(keys, log_times, log_operations, log_steps, log_events)
                WITH ORDINALITY AS line (vm, at, operation, step, event, n)
            LEFT JOIN LATERAL (
                SELECT * FROM $schema.deploy_log AS last WHERE last.vm = line.vm ORDER BY last.vm DESC, last.id DESC LIMIT 1
            ) AS last ON (last.operation, last.step, last.event) = (line.operation, line.step, line.event)
            WHERE line.event IS NOT NULL AND line.n = ANY (written)
        ), counted AS (
            UPDATE $schema.deploy_log AS counted SET times = least(counted.times + 1, 4294967295), last_at = line.at
            FROM line WHERE counted.id = line.repeats
        )
        INSERT INTO $schema.deploy_log (vm, at, operation, step, event, last_at)
        SELECT line.vm, line.at, line.operation, line.step, line.event, line.at FROM line
        WHERE line.repeats IS NULL ORDER BY line.n;
    END IF;
    IF cardinality(notices) > 0 THEN
        INSERT INTO $schema.outbox (vm, at, notice)
        SELECT told.vm, coalesce(clock, now()), told.notice
        FROM unnest(keys, notices) WITH ORDINALITY AS told (vm, notice, n)
        WHERE told.notice IS NOT NULL AND told.n = ANY (written) ORDER BY told.n;
    END IF;
    RETURN written;
END
$body$;

-- Draws the next number of a cluster that nobody has, from where the last search ended, around the range once; null where
-- all are taken. The cluster's row is locked until the end of the transaction, so that two never draw the same.
CREATE FUNCTION $schema.take_vmid(of_cluster text, clock timestamptz) RETURNS integer LANGUAGE plpgsql AS $body$
DECLARE
    range $schema.cluster%ROWTYPE;
    number integer;
BEGIN
    SELECT * INTO STRICT range FROM $schema.cluster WHERE name = of_cluster FOR UPDATE;
    DELETE FROM $schema.vmid_reservation WHERE cluster = of_cluster AND until <= clock;
    IF range.next_vmid NOT BETWEEN range.first_vmid AND range.last_vmid THEN
        range.next_vmid := range.first_vmid;
    END IF;
    number := coalesce(
        $schema.first_gap(of_cluster, range.next_vmid, range.last_vmid),
        $schema.first_gap(of_cluster, range.first_vmid, range.next_vmid - 1)
    );
    IF number IS NOT NULL THEN
        UPDATE $schema.cluster SET next_vmid = number + 1 WHERE name = of_cluster;
    END IF;
    RETURN number;
END
$body$;

-- The lowest number from one to another that is not reserved. Because numbers are given in turn, what it walks over it walks
-- over once a round.
CREATE FUNCTION $schema.first_gap(of_cluster text, from_vmid integer, to_vmid integer) RETURNS integer LANGUAGE plpgsql STABLE AS $body$
DECLARE
    candidate integer := from_vmid;
    taken integer;
BEGIN
    IF from_vmid > to_vmid THEN
        RETURN NULL;
    END IF;
    FOR taken IN
        SELECT vmid FROM $schema.vmid_reservation
        WHERE cluster = of_cluster AND vmid BETWEEN from_vmid AND to_vmid ORDER BY vmid
    LOOP
        EXIT WHEN taken <> candidate;
        candidate := candidate + 1;
    END LOOP;
    RETURN CASE WHEN candidate <= to_vmid THEN candidate END;
END
$body$;

-- Writes down an order, as far as its transaction is committed: the number, the names made from it, the machine, its state,
-- the log's first line, and one notification for all orders of a transaction. The outcome is one of
-- 'ordered', 'exists' (a living machine has this reference; its key), 'unknown_cluster', 'no_number', 'key_taken'.
CREATE FUNCTION $schema.order_machine(
    described json, clock timestamptz DEFAULT now(),
    OUT outcome text, OUT key uuid, OUT vmid integer
) LANGUAGE plpgsql AS $body$
#variable_conflict use_column
DECLARE
    reference text := described ->> 'external_ref';
    new_key uuid := (described ->> 'key')::uuid;
BEGIN
    SELECT vm.key, vm.vmid INTO key, vmid FROM $schema.vm WHERE external_ref = reference AND NOT terminated;
    IF FOUND THEN
        outcome := 'exists';
        RETURN;
    END IF;
    -- From here on, orders of one cluster wait for one another.
    PERFORM FROM $schema.cluster WHERE name = described ->> 'cluster' FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'unknown_cluster';
        RETURN;
    END IF;
    SELECT vm.key, vm.vmid INTO key, vmid FROM $schema.vm WHERE external_ref = reference AND NOT terminated;
    IF FOUND THEN
        outcome := 'exists';
        RETURN;
    END IF;
    vmid := $schema.take_vmid(described ->> 'cluster', clock);
    IF vmid IS NULL THEN
        outcome := 'no_number';
        RETURN;
    END IF;
    PERFORM FROM $schema.vm WHERE vm.key = new_key;
    IF FOUND THEN
        outcome := 'key_taken';
        RETURN;
    END IF;
    INSERT INTO $schema.vm (key, external_ref, cluster, vmid, fqdn, pve_name, spec_version, spec, macs, metadata, created_at)
    VALUES (
        new_key, reference, described ->> 'cluster', order_machine.vmid,
        replace(described ->> 'fqdn', '{vmid}', order_machine.vmid::text),
        replace(described ->> 'pve_name', '{vmid}', order_machine.vmid::text),
        (described ->> 'spec_version')::integer, (described -> 'spec')::jsonb, (described -> 'macs')::jsonb, described -> 'metadata',
        (described ->> 'created_at')::timestamptz
    )
    ON CONFLICT (external_ref) WHERE NOT terminated DO NOTHING;
    IF NOT FOUND THEN
        -- Ordered at this moment under the same reference, of another cluster. The number that was drawn is passed over.
        SELECT vm.key, vm.vmid INTO key, vmid FROM $schema.vm WHERE external_ref = reference AND NOT terminated;
        outcome := 'exists';
        RETURN;
    END IF;
    INSERT INTO $schema.vm_state
        (key, spec_version, operation, step, progress, failures, due_at, node, slots, addresses, remembered)
    VALUES (
        new_key, (described ->> 'spec_version')::integer, described ->> 'operation', described ->> 'step',
        (described -> 'progress')::jsonb, 0,
        -- A panel whose clock is ahead does not make its orders wait.
        least((described ->> 'created_at')::timestamptz, clock), described ->> 'node', '[]', '[]', '[]'
    );
    INSERT INTO $schema.vmid_reservation (cluster, vmid, vm) VALUES (described ->> 'cluster', order_machine.vmid, new_key);
    INSERT INTO $schema.deploy_log (vm, at, operation, step, event, last_at)
    VALUES (
        new_key, (described ->> 'created_at')::timestamptz, described ->> 'operation', described ->> 'step',
        (described -> 'event')::jsonb, (described ->> 'created_at')::timestamptz
    );
    PERFORM pg_notify($channel, '');
    outcome := 'ordered';
    key := new_key;
END
$body$;

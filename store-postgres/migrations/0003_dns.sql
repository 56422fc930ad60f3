-- DNS: a queue of its own beside the machines, and what is known of each record.

-- Which zones there are, as a fingerprint, and how many times that was changed.
CREATE TABLE $schema.dns_plan (
    fingerprint bigint,
    number      bigint NOT NULL
);

INSERT INTO $schema.dns_plan VALUES (NULL, 0);

-- One row for each machine that ever had something to publish. Rows are never deleted: their tokens must not come again.
CREATE TABLE $schema.dns_machine (
    vm            uuid PRIMARY KEY,
    mark          bigint NOT NULL DEFAULT 0, -- counts what may have changed its records
    asked         bigint NOT NULL DEFAULT 0, -- the mark of the last thorough turn that was asked for
    done          bigint NOT NULL DEFAULT 0, -- the mark that the last finished turn began with
    plan          bigint NOT NULL DEFAULT 0, -- the number of the zones that it was judged by
    due_at        timestamptz,               -- the epoch: at once
    token         bigint NOT NULL DEFAULT 0, -- grows with every claim
    claimed_until timestamptz,
    claimed_mark  bigint NOT NULL DEFAULT 0,
    claimed_plan  bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0, vacuum_index_cleanup = on);

CREATE INDEX dns_machine_due ON $schema.dns_machine (due_at, vm) WHERE due_at IS NOT NULL;
CREATE INDEX dns_machine_plan ON $schema.dns_machine (plan, vm);

CREATE TABLE $schema.dns_name (
    vm      uuid NOT NULL,
    address inet NOT NULL,
    name    text NOT NULL,
    PRIMARY KEY (vm, address)
);

CREATE TABLE $schema.dns_entry (
    vm         uuid NOT NULL,
    provider   text NOT NULL,
    zone       text NOT NULL,
    name       text NOT NULL,
    kind       text NOT NULL,
    data       text NOT NULL,
    ttl        bigint NOT NULL,
    state      text NOT NULL,
    failures   bigint NOT NULL,
    last_error text,
    next_try   timestamptz,
    in_doubt   timestamptz,
    PRIMARY KEY (vm, provider, zone, name, kind, data)
);

CREATE INDEX dns_entry_name ON $schema.dns_entry (provider, zone, name);

-- Marks are made by the database itself, in the transaction that changes what the records follow from: no commit can forget to.
CREATE FUNCTION $schema.mark_dns() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO $schema.dns_machine AS machine (vm, mark, due_at) VALUES (NEW.key, 1, 'epoch')
    ON CONFLICT (vm) DO UPDATE SET mark = machine.mark + 1, due_at = 'epoch';
    RETURN NULL;
END
$body$;

CREATE TRIGGER dns_mark_state AFTER UPDATE OF addresses, operation ON $schema.vm_state FOR EACH ROW
    WHEN (OLD.addresses IS DISTINCT FROM NEW.addresses OR OLD.operation IS DISTINCT FROM NEW.operation)
    EXECUTE FUNCTION $schema.mark_dns();
CREATE TRIGGER dns_mark_name AFTER UPDATE OF fqdn ON $schema.vm FOR EACH ROW
    WHEN (OLD.fqdn IS DISTINCT FROM NEW.fqdn) EXECUTE FUNCTION $schema.mark_dns();

-- Machines that were there before.
INSERT INTO $schema.dns_machine (vm, mark, due_at)
SELECT key, 1, 'epoch' FROM $schema.vm JOIN $schema.vm_state USING (key) WHERE addresses <> '[]' AND NOT terminated;

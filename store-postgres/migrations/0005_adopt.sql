-- Writes down an order, as far as its transaction is committed: the number, the names made from it, the machine, its state,
-- the log's first line, and one notification for all orders of a transaction. An order that adopts a machine says its number;
-- else one is drawn. The outcome is one of 'ordered', 'exists' (a living machine has this reference; its key), 'unknown_cluster',
-- 'no_number', 'key_taken', 'reserved' (the number that was said is that of another machine, or rests after it; its key).
CREATE OR REPLACE FUNCTION $schema.order_machine(
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
    vmid := (described ->> 'vmid')::integer;
    IF vmid IS NULL THEN
        vmid := $schema.take_vmid(described ->> 'cluster', clock);
        IF vmid IS NULL THEN
            outcome := 'no_number';
            RETURN;
        END IF;
    ELSE
        -- After an adoption that was let go of it does not rest for another one: nothing was done to its machine.
        DELETE FROM $schema.vmid_reservation AS reserved
        WHERE reserved.cluster = described ->> 'cluster' AND reserved.vmid = order_machine.vmid AND until IS NOT NULL AND (
            until <= clock OR EXISTS (
                SELECT 1 FROM $schema.vm WHERE vm.key = reserved.vm AND jsonb_exists(vm.life, 'adopts')
            )
        );
        SELECT reserved.vm INTO key FROM $schema.vmid_reservation AS reserved
        WHERE reserved.cluster = described ->> 'cluster' AND reserved.vmid = order_machine.vmid;
        IF FOUND THEN
            outcome := 'reserved';
            RETURN;
        END IF;
    END IF;
    PERFORM FROM $schema.vm WHERE vm.key = new_key;
    IF FOUND THEN
        outcome := 'key_taken';
        RETURN;
    END IF;
    INSERT INTO $schema.vm (key, external_ref, cluster, vmid, fqdn, pve_name, spec_version, spec, macs, metadata, created_at, life)
    VALUES (
        new_key, reference, described ->> 'cluster', order_machine.vmid,
        replace(described ->> 'fqdn', '{vmid}', order_machine.vmid::text),
        replace(described ->> 'pve_name', '{vmid}', order_machine.vmid::text),
        (described ->> 'spec_version')::integer, (described -> 'spec')::jsonb, (described -> 'macs')::jsonb, described -> 'metadata',
        (described ->> 'created_at')::timestamptz, coalesce((described -> 'life')::jsonb, '{}')
    )
    ON CONFLICT (external_ref) WHERE NOT terminated DO NOTHING;
    IF NOT FOUND THEN
        -- Ordered at this moment under the same reference, of another cluster. The number that was drawn is passed over.
        SELECT vm.key, vm.vmid INTO key, vmid FROM $schema.vm WHERE external_ref = reference AND NOT terminated;
        outcome := 'exists';
        RETURN;
    END IF;
    INSERT INTO $schema.vm_state
        (key, spec_version, operation, step, progress, failures, due_at, node, smbios, slots, addresses, remembered)
    VALUES (
        new_key, (described ->> 'spec_version')::integer, described ->> 'operation', described ->> 'step',
        (described -> 'progress')::jsonb, 0,
        -- A panel whose clock is ahead does not make its orders wait.
        least((described ->> 'created_at')::timestamptz, clock), described ->> 'node', (described ->> 'smbios')::uuid,
        '[]', '[]', '[]'
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

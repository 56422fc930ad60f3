-- What commands have made of a machine. With the order, and not with how far the machine is: most turns leave it alone.
ALTER TABLE $schema.vm ADD COLUMN life jsonb NOT NULL DEFAULT '{}';

-- What commands have made of a machine: JSON.
ALTER TABLE vm ADD COLUMN life TEXT NOT NULL DEFAULT '{}';

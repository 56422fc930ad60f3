-- Who delivers a notice, as long as it lives.
ALTER TABLE outbox ADD COLUMN worker TEXT;

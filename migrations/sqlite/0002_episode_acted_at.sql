-- When the last action for an alert ended: its firing since then has outlived that, so a restart of ours is no reason not to restart again.
ALTER TABLE episode ADD COLUMN acted_at INTEGER;

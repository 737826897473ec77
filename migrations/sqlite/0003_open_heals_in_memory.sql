-- The one process that owns the file finds open heals by rule and target in memory: targets come in no order, so that this
-- index dirtied a page of its own for each new heal. For the same reason the alert a heal was begun for has no row in `episode`
-- while the heal is open and nothing new was told of that alert: the heal says it by itself.
DROP INDEX heal_open;

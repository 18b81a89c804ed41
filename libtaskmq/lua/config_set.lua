#!lua flags=allow-oom
-- config_set: sets one setting: selection (priority, fifo, lifo), or a whole
-- number: retention_s, dead_retention_s, dead_max, max_retries,
-- daemon_max_retries, retry_wait_ms, retry_wait_max_ms, idempotency_ttl_s.
--
-- KEYS[1]  prefix
-- ARGV     name, value, seed "1": only where nothing is set, else "0"
-- Returns  0 set, 1 kept (seed)
-- Errors   "ERR TASKMQ ..." for an unknown name or a bad value

#!lua flags=allow-oom
-- extend: a worker's heartbeat, and one lease extension for all its jobs. An
-- expired lease that nobody reaped can still be extended.
--
-- KEYS[1]  prefix
-- ARGV     worker id, name, info (JSON text), lease ms, number of handlers, the
--          handlers, then per job: id, token (28)
-- Returns  per job a verdict: 0 ok, 2 stale, 3 gone (deleted), 4 cancelled
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

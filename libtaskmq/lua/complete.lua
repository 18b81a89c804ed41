#!lua flags=allow-oom
-- complete: jobs succeeded.
--
-- KEYS[1]  prefix
-- ARGV     per job: id, token (28), result (JSON text or ""), log (text; "":
--          keep what is there)
-- Returns  per job a verdict (integer): 0 ok, 1 already (this token completed
--          it before), 2 stale (not leased under this token), 3 gone (no job)
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

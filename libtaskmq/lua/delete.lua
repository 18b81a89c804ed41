#!lua flags=allow-oom
-- delete: removes a job wherever it is. The worker that runs it is told.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  0 ok, 3 not found

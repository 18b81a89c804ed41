#!lua flags=no-writes
-- logs: the tail of a job's stderr.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  nil (no such job), or the text ("" when there was none)

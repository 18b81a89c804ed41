#!lua flags=no-writes
-- get: one job.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  nil, or: record, run ("": never claimed), due (ms, integer; 0: not
--          scheduled)

#!lua flags=allow-oom
-- goodbye: ends the heartbeat of a worker that stops.
--
-- KEYS[1]  prefix
-- ARGV     worker id
-- Returns  1

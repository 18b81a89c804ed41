#!lua flags=allow-oom
-- reap: takes back up to 100 expired leases, sweeps expired jobs, forgets
-- workers not seen for a minute.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  now (ms), requeued, failed (third crash, or cancelled while
--          running), swept, more (1: call again soon); all integers

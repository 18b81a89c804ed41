#!lua
-- probe: could a job be stored now? Writes nothing, but is a script that may
-- write, without flags: Redis refuses it when full, read-only or stale.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  waiting jobs, live workers, maxmemory-policy is noeviction (1 yes,
--          0 no, -1 cannot be read); integers

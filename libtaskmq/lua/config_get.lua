#!lua flags=no-writes
-- config_get: the namespace's settings that were set (others have the
-- defaults of tq_limits.h).
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  name, value, ... (strings)

--@include base

return call('HGETALL', P .. 'config')

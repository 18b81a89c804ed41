#!lua flags=no-writes
-- config_get: the namespace's settings that were set (others have the
-- defaults of tq_limits.h).
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  name, value, ... (strings)

--@include base

local OURS = { moving = true, stale = true, largest = true }

local all, out = call('HGETALL', P .. 'config'), {}
for i = 1, #all, 2 do
    if not OURS[all[i]] then
        out[#out + 1] = all[i]
        out[#out + 1] = all[i + 1]
    end
end
return out

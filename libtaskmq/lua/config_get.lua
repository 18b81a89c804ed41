#!lua flags=no-writes
-- config_get: the namespace's settings that were set (others have the
-- defaults of tq_limits.h).
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  name, value, ... (strings)

--@include base

local all, out = call('HGETALL', P .. 'config'), {}
for i = 1, #all, 2 do
    if all[i] ~= 'moving' and all[i] ~= 'stale' then
        out[#out + 1] = all[i]
        out[#out + 1] = all[i + 1]
    end
end
return out

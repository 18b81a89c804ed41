#!lua flags=no-writes
-- get: one job.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  nil, or: record, run ("": never claimed), due (ms, integer; 0: not
--          scheduled)

--@include base whole

local id = argv[1]
local got = call('MGET', J .. id, R .. id)
if not got[1] then
    return false
end
local due = call('ZSCORE', P .. 'scheduled', id)
return { whole(id, got[1]), got[2] or '', due and tonumber(due) or 0 }

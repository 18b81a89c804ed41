#!lua flags=no-writes
-- get: one job.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  nil, or: record, run ("": never claimed), due (ms, integer; 0: not
--          scheduled)

local id = argv[1]
local got = call('MGET', J .. id, R .. id, P .. 'b:' .. id)
return got[1] and { got[1] .. (got[3] or ''), got[2] or '',
                    tonumber(call('ZSCORE', P .. 'scheduled', id) or 0) }

#!lua flags=allow-oom
-- due: up to 1,000 due jobs go to the end of their lanes, in order of time.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  how many were due (integer)
--@include now header lane unreadable

local ids = call('ZRANGEBYSCORE', P .. 'scheduled', '-inf', now13, 'LIMIT', 0,
                 TQ_PROMOTE_MAX)
local lanes = {}
for _, id in ipairs(ids) do
    local record = call('GETRANGE', J .. id, 0, 255)
    local handler = handler_at(record, 0)
    if is_header(record, 0) then
        add_pack(lanes, handler, priority_at(record, 0), id .. again)
    elseif record ~= '' then
        -- A guess: no name is counted that there is not.
        handler = call('HGET', P .. 'handlers', handler) and handler or '?'
        call('HINCRBY', P .. 'stats', 'sch:' .. handler, '-1')
        call('HINCRBY', P .. 'stats', 'back:' .. handler, '-1')
        unreadable(id, handler, 'record')
    end
end
to_lanes(lanes, 'RPUSH')
if #ids > 0 then
    call('ZREM', P .. 'scheduled', unpack(ids))
end
for _, lane in pairs(lanes) do
    call('HINCRBY', P .. 'stats', 'sch:' .. lane.handler, -#lane)
end
return #ids

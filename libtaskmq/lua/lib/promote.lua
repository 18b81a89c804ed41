-- promote: jobs that are due go to the end of their lanes, in the order of
-- their times.

--@include base
--@include now
--@include sound
--@include lanes
--@include again

-- Returns the earliest due time of what is left, or nil.
local function promote()
    local ids = call('ZRANGEBYSCORE', P .. 'scheduled', '-inf', now13, 'LIMIT',
                     0, TQ_PROMOTE_MAX)
    local lanes = {}
    for i = 1, #ids do
        local record = call('GETRANGE', J .. ids[i], 0, 255)
        local handler = handler_at(record, 0)
        if is_header(record, 0) then
            add_pack(lanes, handler, priority_at(record, 0), ids[i] .. AGAIN)
            call('HINCRBY', P .. 'stats', 'sch:' .. handler, '-1')
        elseif record ~= '' then
            -- Its handler is a guess.
            if call('HEXISTS', P .. 'handlers', handler) == 1 then
                call('HINCRBY', P .. 'stats', 'sch:' .. handler, '-1')
                call('HINCRBY', P .. 'stats', 'back:' .. handler, '-1')
            else
                handler = '?'
            end
--@include unreadable
            unreadable(ids[i], handler, 'record')
        end
    end
    if #ids > 0 then
        call('ZREM', P .. 'scheduled', unpack(ids))
    end
    to_lanes(lanes)
    return tonumber(call('ZRANGE', P .. 'scheduled', 0, 0, 'WITHSCORES')[2])
end

-- promote: due jobs get a fresh place, in the order of their times. A part of
-- claim.

local ids = call('ZRANGEBYSCORE', P .. 'scheduled', '-inf', now13, 'LIMIT',
                 '0', PROMOTE_MAX)
local lists, counts = {}, {}
local place = call('INCRBY', P .. 'order', #ids) - #ids
for i = 1, #ids do
    local id, handler = ids[i], nil
    local head = call('GETRANGE', J .. id, 0, 95)
    local sound = find(head, '^1[-op] %d%d%d ')
                  and match(head, '^([%w_.-]+)[ \n]', 28)
    if sound then
        handler = sound
        local list = lists[handler]
        if not list then
            list = {}
            lists[handler] = list
        end
        local n = #list
        list[n + 1] = score_of(mode, tonumber(sub(head, 4, 6)), place + i)
        list[n + 2] = id
    elseif head ~= '' then
        -- Its handler is a guess.
        handler = match(head, '^[%w_.-]+', 28)
        handler = handler and call('HGET', P .. 'handlers', handler)
                  and handler
--@include unreadable
        unreadable(id, handler or '?', 'record')
        if handler then
            call('HINCRBY', P .. 'stats', 'back:' .. handler, '-1')
        end
    else
        -- evicted
        local run = call('GETRANGE', R .. id, 0, 299)
        if run ~= '' then
            handler = match(run, '^[^ \n]+',
                            (find(run, '\n', 100, true) or #run) + 28)
        end
        call('UNLINK', R .. id, P .. 'l:' .. id)
        if handler then
            call('HINCRBY', P .. 'stats', 'back:' .. handler, '-1')
        end
    end
    if handler then
        counts[handler] = (counts[handler] or 0) + 1
    end
end
call('ZREM', P .. 'scheduled', unpack(ids))
for handler, n in pairs(counts) do
    call('HINCRBY', P .. 'stats', 'sch:' .. handler, -n)
end
for handler, list in pairs(lists) do
    if call('ZCARD', ready_key(handler, mode)) == 0 then
        arm(handler)
    end
    bulk('ZADD', ready_key(handler, mode), list)
end

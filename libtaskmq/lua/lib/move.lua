-- move: after a change of selection, what waits in other modes' sets gets the
-- same place in the new order. A part of claim; the asked handlers' first.
-- Where some is left, `moving` stays, and its handlers' free slots are 0.

local handlers, budget = {}, MOVE_MAX
for i = 5, #argv, 2 do
    handlers[#handlers + 1] = argv[i]
end
local all = call('HKEYS', P .. 'handlers')
for i = 1, #all do
    handlers[#handlers + 1] = all[i]
end
for _, handler in ipairs(handlers) do
    for _, from in ipairs({ 'p', 'f', 'l' }) do
        local got = {}
        if from ~= mode and budget > 0 then
            got = call('ZPOPMIN', ready_key(handler, from), budget)
        end
        local list, gone = {}, 0
        for i = 1, #got, 2 do
            local id, n = got[i], place_of(from, tonumber(got[i + 1]))
            local priority = mode == 'p' and call('GETRANGE', J .. id, 3, 5)
                             or '0'
            if byte(id) > 57 then
                -- a lane goes as a whole
                priority = sub(id, 2)
                n = lane_place(handler, id, mode)
            end
            priority = tonumber(priority)
                       -- claim ends one that cannot be read
                       or call('EXISTS', J .. id) == 1 and 0
            if n and priority then
                list[#list + 1] = score_of(mode, priority, n)
                list[#list + 1] = id
            elseif byte(id) < 58 then
                -- evicted
                gone = gone + 1
            end
        end
        bulk('ZADD', ready_key(handler, mode), list)
        if gone > 0 then
            call('HINCRBY', P .. 'stats', 'back:' .. handler, -gone)
        end
        budget = budget - #got / 2
    end
end
if budget > 0 then
    call('HDEL', P .. 'config', 'moving')
    moving = false
else
    -- The new order holds from the first job on: a handler with jobs that
    -- are not moved yet gives none.
    for i = 5, #argv, 2 do
        for _, from in ipairs({ 'p', 'f', 'l' }) do
            if from ~= mode
               and call('EXISTS', ready_key(argv[i], from)) == 1
            then
                nfree = nfree - tonumber(argv[i + 1])
                argv[i + 1] = '0'
            end
        end
    end
end

-- order: the scores of all lanes that are not empty, after another selection.

--@include base
--@include lane

local function set_order(selection)
    if selection == (order or 'priority') then
        return
    end
    order = selection ~= 'priority' and selection
    call('SET', P .. 'seq', seq .. (order and ' ' .. order or ''))
    local handlers = call('HGETALL', P .. 'handlers')
    local next = order == 'lifo' and -1 or 0
    for i = 1, #handlers, 2 do
        local prefix = P .. 'h:' .. handlers[i]
        for _, lane in ipairs(call('ZRANGE', prefix .. ':ready', 0, -1)) do
            local pack = order and call('LRANGE', prefix .. ':lane:' .. lane,
                                        next, next)[1]
            call('ZADD', prefix .. ':ready',
                 pack and -rank(pack) or 100 - lane, lane)
        end
    end
end

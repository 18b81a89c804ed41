-- order: the scores of lanes that are not empty: of all, after another selection.
--@include lane

local function to_ready(prefix, lane)
    local next = order == 'lifo' and -1 or 0
    local pack = order and call('LRANGE', prefix .. ':lane:' .. lane, next,
                                next)[1]
    call('ZADD', prefix .. ':ready', pack and -rank(pack) or 100 - lane, lane)
end

local function set_order(selection)
    if selection == (order or 'priority') then
        return
    end
    order = selection ~= 'priority' and selection
    call('SET', P .. 'seq', seq .. (order and ' ' .. order or ''))
    local handlers = call('HGETALL', P .. 'handlers')
    for i = 1, #handlers, 2 do
        local prefix = P .. 'h:' .. handlers[i]
        -- Of another type it is not ours, and an error: no list.
        for _, lane in ipairs(redis.pcall('ZRANGE', prefix .. ':ready', 0, -1))
        do
            to_ready(prefix, lane)
        end
    end
end

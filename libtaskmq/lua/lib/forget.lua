-- forget: a handler's name, and what is counted under it, goes.

--@include base
--@include counters

local function forget(name)
    local stats = P .. 'stats'
    call('HINCRBY', stats, 'forgotten', call('HGET', P .. 'handlers', name))
    call('HDEL', P .. 'handlers', name)
    local durations, runs = durations_of(name)
    for d = 0, 14 do
        if runs[d + 1] then
            call('HINCRBY', stats, 'd' .. d, runs[d + 1])
        end
    end
    call('HDEL', stats, 'claimed:' .. name, 'left:' .. name, 'back:' .. name,
         'sch:' .. name, 'dead:' .. name, unpack(durations))
    local prefix = P .. 'h:' .. name
    for _, lane in ipairs(call('ZRANGE', prefix .. ':ready', 0, -1)) do
        call('UNLINK', prefix .. ':lane:' .. lane)
    end
    call('DEL', prefix .. ':ready', prefix .. ':wake')
end

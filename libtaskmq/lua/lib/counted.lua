-- counted: how many of a handler's jobs wait, run, are scheduled and are dead.

--@include base

-- A handler's counters of ended runs: their names, and their values (strings, or
-- false).
local function durations_of(handler)
    local names = {}
    for d = 0, 14 do
        names[d + 1] = 'd' .. d .. ':' .. handler
    end
    return names, call('HMGET', P .. 'stats', unpack(names))
end

local function counted(name)
    local n = call('HMGET', P .. 'stats', 'sch:' .. name, 'dead:' .. name,
                   'back:' .. name, 'claimed:' .. name, 'left:' .. name)
    local claimed, _, ended = n[4] or 0, durations_of(name)
    local running = claimed - (n[5] or 0)
    for d = 1, 15 do
        running = running - (ended[d] or 0)
    end
    local received = tonumber(call('HGET', P .. 'handlers', name)) or 0
    local scheduled = (n[1] or 0) + 0
    return received + (n[3] or 0) - scheduled - claimed, running, scheduled,
           (n[2] or 0) + 0
end

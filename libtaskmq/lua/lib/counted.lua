-- counted: how many of a handler's jobs wait, run, are scheduled and are dead.

--@include base

-- The names of what is counted of a handler.
local function counters_of(name)
    return 'back:' .. name, 'claimed:' .. name, 'left:' .. name, 'sch:' .. name,
           'dead:' .. name
end

local function counted(name)
    local n = call('HMGET', P .. 'stats', counters_of(name))
    for i = 1, 5 do
        n[i] = tonumber(n[i]) or 0
    end
    local back, claimed, left, scheduled, dead = unpack(n)
    local received = tonumber(call('HGET', P .. 'handlers', name)) or 0
    return received + back - scheduled - claimed, claimed - left, scheduled, dead
end

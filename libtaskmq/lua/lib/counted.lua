-- counted: how many of a handler's jobs wait, run, are scheduled and are dead.

-- The names of what is counted of a handler.
local function counters_of(name)
    return 'back:' .. name, 'claimed:' .. name, 'left:' .. name, 'sch:' .. name,
           'dead:' .. name
end

-- received: what `handlers` says of it.
local function counted(name, received)
    local n = call('HMGET', P .. 'stats', counters_of(name))
    local claimed, scheduled = tonumber(n[2]) or 0, tonumber(n[4]) or 0
    return (tonumber(received) or 0) + (tonumber(n[1]) or 0) - scheduled
           - claimed, claimed - (tonumber(n[3]) or 0), scheduled,
           tonumber(n[5]) or 0
end

-- room: when there would be too many handler names, some are forgotten of which
-- nothing waits, is scheduled, runs or is dead.

--@include base
--@include served
--@include counters
--@include forget

-- Whether nothing waits, is scheduled, runs or is dead under a name. By what is
-- counted: its lanes may still name jobs that were cancelled or deleted.
local function is_idle(name)
    local n = call('HMGET', P .. 'stats', 'sch:' .. name, 'dead:' .. name,
                   'claimed:' .. name, 'left:' .. name, 'back:' .. name)
    local received = call('HGET', P .. 'handlers', name) or 0
    local claimed = n[3] or 0
    if (n[1] or '0') ~= '0' or (n[2] or '0') ~= '0'
       or received + (n[5] or 0) - claimed ~= 0
    then
        return false
    end
    local running, _, ended = claimed - (n[4] or 0), durations_of(name)
    for d = 1, 15 do
        running = running - (ended[d] or 0)
    end
    return running == 0
end

-- Lets n new names in, the keys of names. room: { size: the names that there
-- are then, forget: name -> true }; busy: names that must stay. Returns false:
-- there is no room. Names that a live worker serves have as much room of their
-- own. It looks at some at random: a registry full of busy ones costs little.
local function let_in(names, n, room, busy)
    room.size = (room.size or call('HLEN', P .. 'handlers')) + n
    local over, idle = room.size - TQ_HANDLERS_MAX, {}
    local some = over > 0 and call('HRANDFIELD', P .. 'handlers',
                                   TQ_FORGET_LOOK) or {}
    for i = 1, #some do
        local name = some[i]
        if #idle < over and not busy[name] and not room.forget[name]
           and is_idle(name)
        then
            idle[#idle + 1] = name
        end
    end
    local fits = #idle >= over
    if not fits and over - #idle <= TQ_HANDLERS_MAX then
        fits = true
        for name in pairs(names) do
            fits = fits and is_served(name)
        end
    end
    if not fits then
        room.size = room.size - n
        return false
    end
    for i = 1, #idle do
        room.forget[idle[i]] = true
    end
    room.size = room.size - #idle
    return true
end

-- room: when there would be too many handler names, some are forgotten of which
-- nothing waits, is scheduled, runs or is dead. By what is counted: their lanes
-- may still name jobs that were cancelled or deleted.

--@include base served counted

-- Lets new names in, the keys of names. room: { size: the names that there are
-- then, forget: name -> true }; busy: names that must stay. Returns false: there
-- is no room. Names that a live worker serves have as much room of their own. It
-- looks at some at random: a registry full of busy ones costs little.
local function let_in(names, room, busy)
    local size, idle = room.size or call('HLEN', P .. 'handlers'), {}
    local served = true
    for name in pairs(names) do
        size, served = size + 1, served and is_served(name)
    end
    local over = size - TQ_HANDLERS_MAX
    local some = over > 0 and call('HRANDFIELD', P .. 'handlers',
                                   TQ_FORGET_LOOK, 'WITHVALUES') or {}
    for i = 1, #some, 2 do
        local name = some[i]
        local waiting, running, scheduled, dead = counted(name, some[i + 1])
        if waiting == 0 and running == 0 and scheduled == 0 and dead == 0
           and #idle < over and not busy[name] and not room.forget[name]
        then
            idle[#idle + 1] = name
        end
    end
    if #idle < over and not (served and over - #idle <= TQ_HANDLERS_MAX) then
        return false
    end
    for _, name in ipairs(idle) do
        room.forget[name] = true
    end
    room.size = size - #idle
    return true
end

-- A name, and what is counted under it, goes.
local function forget(name)
    call('HDEL', P .. 'handlers', name)
    call('HDEL', P .. 'stats', counters_of(name))
    local prefix = P .. 'h:' .. name
    for _, lane in ipairs(call('ZRANGE', prefix .. ':ready', 0, -1)) do
        call('UNLINK', prefix .. ':lane:' .. lane)
    end
    call('DEL', prefix .. ':ready', prefix .. ':wake')
end

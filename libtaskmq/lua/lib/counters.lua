-- counters: a handler's counters of ended runs, d0:<handler> ... d14:<handler>.

--@include base

-- Their names, and their values (strings, or false).
local function durations_of(handler)
    local names = {}
    for d = 0, 14 do
        names[d + 1] = 'd' .. d .. ':' .. handler
    end
    return names, call('HMGET', P .. 'stats', unpack(names))
end

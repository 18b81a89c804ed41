-- heal: what a script left that was stopped on its way, because a right was
-- taken away: a lane that no claim looks at, and counts of what is not there.

--@include base lane counted order

local none = { scheduled = call('ZCARD', P .. 'scheduled') == 0,
               leased = call('ZCARD', P .. 'leased') == 0,
               dead = call('ZCARD', P .. 'dead') == 0 }

-- A key of another type is passed over: an error is no list, and no nil.
local function heal(handler, received)
    local prefix, lanes = P .. 'h:' .. handler, 0
    for priority = 0, 100 do
        local lane = fmt('%03d', priority)
        if redis.pcall('LRANGE', prefix .. ':lane:' .. lane, 0, 0)[1] then
            lanes = lanes + 1
            if not redis.pcall('ZSCORE', prefix .. ':ready', lane) then
                to_ready(prefix, lane)
                redis.pcall('ZADD', prefix .. ':wake', '0', 'w')
            end
        end
    end
    local waiting, running, scheduled, dead = counted(handler, received)
    local bumps = { ['sch:'] = none.scheduled and -scheduled,
                    ['left:'] = none.leased and running,
                    ['dead:'] = none.dead and -dead }
    bumps['back:'] = lanes == 0 and -waiting + (bumps['sch:'] or 0)
    for name, n in pairs(bumps) do
        if n and n ~= 0 then
            call('HINCRBY', P .. 'stats', name .. handler, fmt('%d', n))
        end
    end
end

-- order: scores. p: (100 - priority) * 2^46 + 2^45 + n; f: 2^45 + n;
-- l: 2^45 - 1 - n; n below 2^45 from the counter `order`. A smaller score runs
-- first. A selection's first letter is its mode.

local BAND, MID = 70368744177664, 35184372088832

local function score_of(mode, priority, n)
    if mode == 'p' then
        return (100 - priority) * BAND + MID + n
    end
    return mode == 'f' and MID + n or MID - 1 - n
end

-- The n a score was made with.
local function place_of(mode, score)
    if mode == 'p' then
        return score % BAND - MID
    end
    return mode == 'f' and score - MID or MID - 1 - score
end

local function ready_key(handler, mode)
    return P .. 'h:' .. handler .. ':ready:' .. mode
end

-- The place of a lane's best job, or nil: there is no such lane. member: as it
-- stands in the ready set.
local function lane_place(handler, member, mode)
    local pack = call('LINDEX', P .. 'h:' .. handler .. ':lane:'
                                .. sub(member, 2), mode == 'l' and -1 or 0)
    if pack then
        local jobs, place = match(pack, '^%d+ (%d+) (%d+)$')
        return mode == 'l' and place + jobs - 1 or tonumber(place)
    end
end

local function arm(handler)
    call('ZADD', P .. 'h:' .. handler .. ':wake', '0', 'w')
end

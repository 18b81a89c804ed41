-- lane: where jobs wait. The jobs of one handler and one priority are a list of
-- packs, h:<handler>:lane:<priority>; h:<handler>:ready has its lanes that are
-- not empty, from the lowest score on: 100 - priority; or, where the selection
-- goes by place, from the highest on: minus the rank of the pack that is next, or
-- more. A pack is one of
--
--   <id>             one job, whose place in line is its id
--   <id> <jobs>      neighbours: ids, and places, that follow each other
--   <id> 1 <place>   one job that has run, or was given back

-- The newest job; and the selection, which stands behind it where it goes by
-- place: what stores jobs reads both at once.
local seq = call('GET', P .. 'seq') or '0'
local order = find(seq, ' ', 1, true) and match(seq, '%l+')
seq = order and match(seq, '%d+') or seq

-- Packs of a lower rank are claimed before.
local function rank(pack)
    local first, jobs, place = string.match(pack, '^(%d+) ?(%d*) ?([%d.]*)$')
    place = tonumber(place) or tonumber(first)
    return order == 'lifo' and 1 - place - (tonumber(jobs) or 1) or place
end

-- Puts packs at the ends of lanes: RPUSH, or LPUSH for the other one. lanes: the
-- key of each -> its packs, in their order, with its handler and its priority
-- (three digits).
local function to_lanes(lanes, push)
    for key, lane in pairs(lanes) do
        local n, length = #lane, nil
        for i = 1, n, CHUNK do
            length = call(push, key, unpack(lane, i, min(i + CHUNK - 1, n)))
        end
        -- The one that is next now; nil: that is not one of these.
        local first = (order == 'lifo' or push == 'LPUSH') and lane[n]
                      or length == n and lane[1]
        if length == n or order and first then
            local prefix, score = P .. 'h:' .. lane.handler, 100 - lane.priority
            call('ZADD', prefix .. ':ready', order and -rank(first) or score,
                 lane.priority)
            -- It was empty: whoever serves the handler should look.
            if length == n then
                call('ZADD', prefix .. ':wake', '0', 'w')
            end
        end
    end
end

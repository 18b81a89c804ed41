-- lane: where jobs wait. The jobs of one handler and one priority are a list of
-- packs, h:<handler>:lane:<priority>; h:<handler>:ready has its lanes that are
-- not empty, the highest priority first. A pack is one of
--
--   <id>             one job, whose place in line is its id
--   <id> <jobs>      neighbours: ids, and places, that follow each other
--   <id> 1 <place>   one job that has run, or was given back

--@include base

-- Makes the packs of lane, see below, those that are pushed to where claims take
-- the next job from: in the order of their places, and with them what is there
-- and comes before the last of them, at most TQ_LANE_READ packs.
local function at_their_places(key, lane, lifo)
    local function rank(pack)
        local first, jobs, place = match(pack, '^(%d+) ?(%d*) ?([%d.]*)$')
        place = tonumber(place) or tonumber(first)
        return lifo and 1 - place - (tonumber(jobs) or 1) or place
    end

    local packs, ranks = { unpack(lane, 3) }, {}
    for i = 1, #packs do
        ranks[packs[i]] = rank(packs[i])
    end
    table.sort(packs, function(a, b) return ranks[a] < ranks[b] end)

    local last, before = ranks[packs[#packs]], {}
    local there = call('LRANGE', key, lifo and -TQ_LANE_READ or 0,
                       lifo and -1 or TQ_LANE_READ - 1)
    for i = 1, #there do
        local pack = there[lifo and #there + 1 - i or i]
        ranks[pack] = rank(pack)
        if ranks[pack] > last then
            break
        end
        before[i] = pack
    end
    if #before > 0 then
        call('LTRIM', key, lifo and 0 or #before, lifo and -1 - #before or -1)
    end

    local n, i, k = #before + #packs, 1, 1
    for at = n + 2, 3, -1 do
        if before[i] and not (packs[k] and ranks[packs[k]] < ranks[before[i]])
        then
            lane[at], i = before[i], i + 1
        else
            lane[at], k = packs[k], k + 1
        end
    end
end

-- Puts packs at the end of a lane, or (given_back) among the next ones: lane is
-- its handler, its priority (three digits), then the packs in their order.
local function to_lane(key, lane, given_back)
    local front, length = false, nil
    if given_back then
        local lifo = call('HGET', P .. 'config', 'selection') == 'lifo'
        at_their_places(key, lane, lifo)
        front = not lifo
    end
    local n = #lane
    for i = 3, n, CHUNK do
        length = call(front and 'LPUSH' or 'RPUSH', key,
                      unpack(lane, i, min(i + CHUNK - 1, n)))
    end
    if length == n - 2 then
        -- It was empty: whoever serves the handler should look.
        local prefix = P .. 'h:' .. lane[1]
        call('ZADD', prefix .. ':ready', 100 - lane[2], lane[2])
        call('ZADD', prefix .. ':wake', '0', 'w')
    end
end

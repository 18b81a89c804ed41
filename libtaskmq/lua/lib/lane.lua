-- lane: where jobs wait, in lists of packs; docs/redis-schema.md#lanes says what
-- a pack is, and what the scores of lanes that are not empty.

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

-- Puts packs at the ends of lanes. lanes: key of each -> its packs, in their
-- order, with its handler and its priority (three digits). push: R- or LPUSH.
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

-- Behind the id of a job that comes again (it was due, or is retried): its place
-- is after that of the newest job, before that of the next.
local again = ' 1 ' .. seq .. '.5'

-- Adds one; lanes: see to_lanes. Returns them.
local function add_pack(lanes, handler, priority, pack)
    local key = P .. 'h:' .. handler .. ':lane:' .. priority
    local lane = lanes[key] or { handler = handler, priority = priority }
    lanes[key], lane[#lane + 1] = lane, pack
    return lanes
end

-- lane: where jobs wait. The jobs of one handler and one priority are a list of
-- packs, h:<handler>:lane:<priority>; h:<handler>:ready has its lanes that are
-- not empty, the highest priority first. A pack is one of
--
--   <id>             one job, whose place in line is its id
--   <id> <jobs>      neighbours: ids, and places, that follow each other
--   <id> 1 <place>   one job that has run, or was given back

--@include base

-- Puts packs at the ends of lanes: RPUSH, or LPUSH for the other one. lanes: the
-- key of each -> its packs, in their order, with its handler and its priority
-- (three digits).
local function to_lanes(lanes, push)
    for key, lane in pairs(lanes) do
        local n, length = #lane, nil
        for i = 1, n, CHUNK do
            length = call(push, key, unpack(lane, i, min(i + CHUNK - 1, n)))
        end
        if length == n then
            -- It was empty: whoever serves the handler should look.
            local prefix = P .. 'h:' .. lane.handler
            call('ZADD', prefix .. ':ready', 100 - lane.priority,
                 lane.priority)
            call('ZADD', prefix .. ':wake', '0', 'w')
        end
    end
end

-- back: jobs that are given back come next in their lanes, in the order of
-- their ids.

--@include base run batch cancelled pack

local lifo, back = order == 'lifo', {}

-- Unrun, it waits again; one that was cancelled meanwhile ends. Returns whether
-- it waits.
local function give_back(id, run, crashes)
    local h = header_at(run)
    if sub(run, TQ_RUN_STATE) == 'E' then
        end_cancelled(id, run, h)
        return false
    end
    local handler = handler_at(run, h)
    run_over(sub(run, TQ_RUN_TOKEN), handler)
    add(sets, R .. id, rewrite(run, { state = 'W', crashes = crashes }))
    add_pack(back, handler, priority_at(run, h), id .. ' 1 ' .. id)
    bump('back:' .. handler, 1)
    return true
end

-- Before flush: puts them where claims take the next jobs from, but behind those
-- before them in line, where these are among the first TQ_LANE_READ packs.
local function put_back()
    for key, packs in pairs(back) do
        local there = call('LRANGE', key, lifo and -TQ_LANE_READ or 0,
                           lifo and -1 or TQ_LANE_READ - 1)
        local line, n, passed, size = {}, 0, 0, #there
        table.sort(packs, function(a, b) return rank(a) < rank(b) end)
        for _, pack in ipairs(packs) do
            while passed < size do
                local first = there[lifo and size - passed or passed + 1]
                if rank(first) > rank(pack) then
                    break
                end
                n, passed = n + 1, passed + 1
                line[n] = first
            end
            n = n + 1
            line[n] = pack
        end
        call('LTRIM', key, lifo and 0 or passed, lifo and -1 - passed or -1)
        -- The one that is pushed last comes first.
        for i = 1, n do
            packs[i] = line[n + 1 - i]
        end
    end
    to_lanes(back, lifo and 'RPUSH' or 'LPUSH')
end

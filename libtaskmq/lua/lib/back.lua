-- back: jobs that are given back come next in their lanes, those of one call in
-- the order of their ids.

--@include base run batch cancelled pack

-- As lanes of to_lanes, of ids; but of these times sign, so that those which come
-- first are last, and pushed last.
local back, sign = {}, order == 'lifo' and 1 or -1

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
    add_pack(back, handler, priority_at(run, h), sign * id)
    bump('back:' .. handler, 1)
    return true
end

-- Before flush: puts them where claims take the next jobs from.
local function put_back()
    for _, lane in pairs(back) do
        table.sort(lane)
        for i, id in ipairs(lane) do
            lane[i] = fmt('%d 1 %d', sign * id, sign * id)
        end
    end
    to_lanes(back, order == 'lifo' and 'RPUSH' or 'LPUSH')
end

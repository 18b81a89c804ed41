-- back: jobs that workers hold, and how they are given back: then they come next
-- in their lanes, those of one call in the order of their ids.
--@include ends lane

-- What a worker hears of a job under a token: 0 it runs, 1 ended by fail, or by
-- cancel in its last run, 2 stale, 3 gone, 4 cancelled while it held it.
local function verdict_of(id, run, token, worker)
    local state, held_by = sub(run, TQ_RUN_STATE), sub(run, TQ_RUN_TOKEN)
    if run == '' then
        return call('EXISTS', J .. id) == 1 and 2 or 3
    elseif held_by == token then
        return (state == 'R' or state == 'E') and 0
               or find(state, '[FCW]') and 1 or 2
    end
    return state == 'C' and held_by == NO_COUNTER .. worker and 4 or 2
end

-- f(id, run) for each job of a lease that still runs, or whose run is damaged.
local function each_running(token, f)
    for id in string.gmatch(call('GET', P .. 't:' .. token) or '', ' (%d+)') do
        local run = call('GET', R .. id)
        if run and (not is_run(run) or sub(run, TQ_RUN_TOKEN) == token
                    and find(run, '^[RE]', TQ_RUN_STATE_FIRST))
        then
            f(id, run)
        end
    end
end

-- As to_lanes wants it, but of ids times sign: those that come first are last.
local back, sign = {}, order == 'lifo' and 1 or -1

-- Unrun, it waits again, or ends where it was cancelled. Returns whether it waits.
local function give_back(id, run, crashes)
    local h = header_at(run)
    if sub(run, TQ_RUN_STATE) == 'E' then
        end_cancelled(id, run, h, {})
        return false
    end
    local handler = over(id, run, h, { state = 'W', crashes = crashes })
    add_pack(back, handler, priority_at(run, h), sign * id)
    bump('back:' .. handler, 1)
    return true
end

-- Writes all, the lanes first: claims take the next jobs from there.
local function put_back()
    for _, lane in pairs(back) do
        table.sort(lane)
        for i, id in ipairs(lane) do
            lane[i] = fmt('%d 1 %d', sign * id, sign * id)
        end
    end
    to_lanes(back, order == 'lifo' and 'RPUSH' or 'LPUSH')
    flush()
end

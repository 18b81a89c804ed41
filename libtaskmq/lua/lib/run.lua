-- run: how a leased job's run ends: functions on its run record. Each adds
-- to the batch; only a lease ended by its own complete or fail keeps its
-- token, so that repeating that call can be told from a stale one.

-- The run with other fields. counter: sub(run, 2, 13) or NO_COUNTER.
local function rewrite(run, state, counter, attempts, crashes, runs, finished,
                       err, result)
    local e = find(run, '\n', header_at(run), true)
    return state .. counter .. sub(run, 14, 62)
           .. fmt('%03d %d %010.0f %s %05d ', attempts, crashes, runs,
                  finished, #err)
           .. sub(run, 100, e) .. err .. result
end

-- The error text a run holds.
local function error_of(run)
    local e = find(run, '\n', header_at(run), true)
    return sub(run, e + 1, e + tonumber(sub(run, 94, 98)))
end

-- The first multiple of the interval after now, counted from the time the
-- job was first asked to run. Before that only where the clock was set back.
local function next_due(run, h)
    local step = option(run, h, 'i') * 1000
    local base = option(run, h, 's') or tonumber(sub(run, h + 13, h + 25))
    return base + (floor((now - base) / step) + 1) * step
end

local function is_periodic(run, h)
    return sub(run, h + 1, h + 1) == 'p'
end

local function leave_lease(id, run, handler)
    local list = unlease
    if byte(run, 30) == 43 then
        local token = sub(run, 2, 29)
        list = shared[token] or {}
        shared[token] = list
    end
    list[#list + 1] = id
    bump('left:' .. handler, 1)
end

local function to_finished(id, run, h, retention)
    add(fin, now + (option(run, h, 'k') or retention) * 1000, id)
end

-- A periodic job's run is over (well or badly): its next one, or, when it was
-- cancelled while running, its end.
local function end_periodic(id, run, h, handler, counter, err, result,
                            retention)
    local runs = sub(run, 69, 78) + 1
    leave_lease(id, run, handler)
    if sub(run, 1, 1) == 'E' then
        add(sets, R .. id, rewrite(run, 'C', counter, 0, 0, runs, now13, err,
                                   result))
        to_finished(id, run, h, retention)
        bump('cancelled', 1)
    else
        add(sets, R .. id, rewrite(run, 'W', counter, 0, 0, runs, now13, err,
                                   result))
        to_sched(id, next_due(run, h), handler)
    end
end

-- The job failed for good.
local function to_dead(id, run, handler, counter, attempts, crashes, err,
                       dead_retention)
    leave_lease(id, run, handler)
    add(sets, R .. id, rewrite(run, 'F', counter, attempts, crashes,
                               tonumber(sub(run, 69, 78)), now13, err, ''))
    add(dead, now + dead_retention * 1000, id)
    bump('dead:' .. handler, 1)
    bump('failed', 1)
end

-- A cancelled job whose last run did not come to an end.
local function end_cancelled(id, run, h, handler, retention)
    leave_lease(id, run, handler)
    add(sets, R .. id, rewrite(run, 'C', NO_COUNTER,
                               tonumber(sub(run, 63, 65)),
                               tonumber(sub(run, 67, 67)),
                               tonumber(sub(run, 69, 78)), now13,
                               error_of(run), ''))
    to_finished(id, run, h, retention)
    bump('cancelled', 1)
end

-- Back to its old place in line, whatever the selection is now.
local function give_back(id, run, h, handler, crashes, mode)
    local score = score_of(mode, tonumber(sub(run, h + 3, h + 5)),
                           id + sub(run, 45, 61))
    leave_lease(id, run, handler)
    add(sets, R .. id, rewrite(run, 'W', NO_COUNTER,
                               tonumber(sub(run, 63, 65)), crashes,
                               tonumber(sub(run, 69, 78)), '0000000000000',
                               error_of(run), ''))
    to_ready(id, score, handler)
end

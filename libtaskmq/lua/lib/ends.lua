-- ends: how runs end, and jobs. What becomes of them is collected, and written by
-- flush with one command of each kind. new: see rewrite.
--@include now header schedule lease bytes

local keep = call('HMGET', P .. 'config', 'retention_s', 'dead_retention_s')
local NO_COUNTER, NO_TIME = '000000000000', '0000000000000'
-- Pairs: key, value; score, member. sched: see lib/schedule.lua. bumps: counter
-- -> by how much; left: token -> how many of its jobs run no more.
local sets, dead, fin, sched, bumps, left = {}, {}, {}, {}, {}, {}

local function bump(name, n)
    bumps[name] = (bumps[name] or 0) + n
end

local function add(list, a, b)
    local n = #list
    list[n + 1], list[n + 2] = a, b
end

-- A run is over, however.
local function run_over(token, handler)
    left[token] = (left[token] or 0) + 1
    bump('left:' .. handler, 1)
end

local function to_sched(id, due, handler)
    sched[#sched + 1] = { due, id, handler }
    bump('back:' .. handler, 1)
end

-- Calls a command, with a key where it has one, on a list, CHUNK at a time.
local function bulk(list, ...)
    for i = 1, #list, CHUNK do
        local words = { ... }
        for k = i, min(i + CHUNK - 1, #list) do
            words[#words + 1] = list[k]
        end
        call(unpack(words))
    end
end

-- Writes all of it. Where a command is refused on the way, a job is in one place
-- too many, and not in none; and the lease of one that is over ends with its time.
local function flush()
    bulk(fin, 'ZADD', P .. 'finished')
    bulk(dead, 'ZADD', P .. 'dead')
    if #sched > 0 then
        schedule(sched)
    end
    bulk(sets, 'MSET')
    for name, n in pairs(bumps) do
        if n ~= 0 then
            call('HINCRBY', P .. 'stats', name, n)
        end
    end
    for token, n in pairs(left) do
        leave_lease(token, n)
    end
    weigh(fin)
    weigh(dead)
end

-- The run with what is new: attempts, crashes, runs and err are else what they
-- were, finished and counter none (what its own complete or fail ended keeps the
-- counter: the same call, repeated, is told from a stale one), result empty.
local function rewrite(run, new)
    local e = find(run, '\n', header_at(run) + 1, true)
    local err = new.err
                or sub(run, e + 1, e + tonumber(sub(run, TQ_RUN_ERROR_LEN)))
    return '1' .. new.state .. (new.finished or NO_TIME) .. ' '
           .. (new.counter or NO_COUNTER)
           .. sub(run, TQ_RUN_WORKER_FIRST, TQ_RUN_ATTEMPTS_FIRST - 1)
           .. fmt('%03d %d %010.0f %05d ',
                  new.attempts or sub(run, TQ_RUN_ATTEMPTS),
                  new.crashes or sub(run, TQ_RUN_CRASHES),
                  new.runs or sub(run, TQ_RUN_RUNS), #err)
           .. sub(run, TQ_RUN_NAME_FIRST, e) .. err .. (new.result or '')
end

-- What runs does no more, what waits ends. Returns its handler.
local function over(id, run, h, new)
    local handler = handler_at(run, h)
    if sub(run, TQ_RUN_STATE) ~= 'W' then
        run_over(sub(run, TQ_RUN_TOKEN), handler)
    end
    add(sets, R .. id, rewrite(run, new))
    return handler
end

local function end_cancelled(id, run, h, new)
    new.state, new.finished = 'C', now13
    over(id, run, h, new)
    local seconds = option(run, h, 'k') or keep[1] or TQ_RETENTION_DEFAULT_S
    add(fin, now + seconds * 1000, id)
    bump('cancelled', 1)
end

-- The next run of a periodic job follows; or its end, where it was cancelled.
local function end_periodic(id, run, h, new)
    new.attempts, new.crashes, new.runs = 0, 0, sub(run, TQ_RUN_RUNS) + 1
    if sub(run, TQ_RUN_STATE) == 'E' then
        end_cancelled(id, run, h, new)
    else
        new.state, new.finished = 'W', now13
        to_sched(id, next_due(run, h), over(id, run, h, new))
    end
end

-- A run failed that is not retried. for_good: so did the job, even a periodic one.
local function end_failed(id, run, h, new, for_good)
    bump('failed', 1)
    if kind_at(run, h) == 'p' and not for_good then
        end_periodic(id, run, h, new)
    else
        new.state, new.finished = 'F', now13
        bump('dead:' .. over(id, run, h, new), 1)
        add(dead, now + (keep[2] or TQ_DEAD_RETENTION_S) * 1000, id)
    end
end

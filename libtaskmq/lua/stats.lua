#!lua flags=no-writes
-- stats: counters, sizes, queues and workers.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  a flat array (places from 1; integers unless said):
--            1 now, ms    2 received    3 success    4 failed
--            5 cancelled  6 retries     7 crashes    8 dead_dropped
--            9 duration_ms (sum over successful runs)
--           10-24 d0 ... d14 (not cumulative), successful runs that took at
--                most 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000,
--                30000, 60000, 300000 ms, and longer ones
--           25 waiting   26 scheduled  27 running   28 dead     29 finished
--           30 number of queues Q      31 number of workers W
--          then Q times 7: handler (string), received, waiting, scheduled,
--                running, dead, created time of the oldest waiting (ms, 0:
--                none)
--          then W times 4: worker id (string), name (string), last seen (ms),
--                info (string, JSON)
--          then bytes of finished and dead jobs (0 where finished_max_bytes is
--                not set), finished_max_bytes (0: none), finished jobs that
--                were dropped for it

--@include base now

local stats, flat = {}, call('HGETALL', P .. 'stats')
for i = 1, #flat, 2 do
    stats[flat[i]] = tonumber(flat[i + 1])
end
local function stat(name)
    return stats[name] or 0
end

-- Ids in lanes that may wait no more, looked at in all.
local looks = TQ_STATS_LOOK_MAX

-- When the next job of a lane was made, or nil: none was found that waits.
local function created_in(lane)
    for _, pack in ipairs(call('LRANGE', lane, 0, TQ_LANE_READ - 1)) do
        local id, jobs = match(pack, '^(%d+) ?(%d*)')
        for k = 0, (tonumber(jobs) or 1) - 1 do
            local name = fmt('%.0f', id + k)
            local created = call('GETRANGE', J .. name, TQ_JOB_CREATED_FIRST - 1,
                                 TQ_JOB_CREATED_LAST - 1)
            local state = call('GETRANGE', R .. name, TQ_RUN_STATE_FIRST - 1,
                               TQ_RUN_STATE_LAST - 1)
            looks = looks - 1
            if created ~= '' and (state == '' or state == 'W') then
                return tonumber(created)
            elseif looks <= 0 then
                return nil
            end
        end
    end
end

-- When the oldest of the next jobs of all its lanes was made, or 0. Of many
-- handlers each has fewer lanes looked at: those of the lowest priorities, or, in
-- fifo, those that have waited longest.
local function oldest_of(handler, handlers)
    local prefix, oldest = P .. 'h:' .. handler, nil
    local most = max(1, floor(TQ_STATS_LOOK_MAX / handlers))
    for _, lane in ipairs(call('ZRANGE', prefix .. ':ready', -most, -1)) do
        local created = looks > 0 and created_in(prefix .. ':lane:' .. lane)
        oldest = created and min(oldest or created, created) or oldest
    end
    return oldest or 0
end

local out, n = {}, 0
local function add(...)
    for _, value in ipairs({ ... }) do
        n = n + 1
        out[n] = value
    end
end

-- All ids were received.
add(now, tonumber(match(call('GET', P .. 'seq') or '0', '^%d+')), 0, stat('failed'), stat('cancelled'),
    stat('retries'), stat('crashes'), stat('dead_dropped'), stat('duration_ms'))
for d = 0, 14 do
    add(stat('d' .. d))
    out[3] = out[3] + out[n]
end
local handlers = call('HGETALL', P .. 'handlers')
-- Finished: not the set's size, for a member is a pack.
add(0, call('ZCARD', P .. 'scheduled'), 0, call('ZCARD', P .. 'dead'),
    call('EXISTS', P .. 'finished') == 0 and 0
    or out[3] - stat('success_periodic') + stat('cancelled')
       - stat('finished_gone'), #handlers / 2, 0)

for i = 1, #handlers, 2 do
    local handler, received = handlers[i], tonumber(handlers[i + 1]) or 0
    local running = stat('claimed:' .. handler) - stat('left:' .. handler)
    local scheduled = stat('sch:' .. handler)
    local waiting = received + stat('back:' .. handler) - scheduled
                    - stat('claimed:' .. handler)
    out[25], out[27] = out[25] + waiting, out[27] + running
    add(handler, received, waiting, scheduled, running, stat('dead:' .. handler),
        waiting > 0 and oldest_of(handler, #handlers / 2) or 0)
end

local workers = call('HGETALL', P .. 'workers')
for i = 1, #workers, 2 do
    local seen, name, info = match(workers[i + 1], '^(%d+) (%S*) (.*)$')
    if (tonumber(seen) or 0) > now - TQ_WORKER_GONE_MS then
        out[31] = out[31] + 1
        add(workers[i], name, tonumber(seen), info)
    end
end
local most = tonumber(call('HGET', P .. 'config', 'finished_max_bytes') or 0)
add(most > 0 and stat('finished_bytes') or 0, most, stat('finished_dropped'))
return out

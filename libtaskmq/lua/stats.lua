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

--@include base
--@include now

-- d0 ... d14 are of handlers that were forgotten, d0:<handler> ... of the others.
local stats, ended, flat = {}, {}, call('HGETALL', P .. 'stats')
for i = 1, #flat, 2 do
    local n = tonumber(flat[i + 1]) or 0
    local name, handler = match(flat[i], '^(d%d+):(.*)$')
    name = name or flat[i]
    stats[name] = (stats[name] or 0) + n
    if handler then
        ended[handler] = (ended[handler] or 0) + n
    end
end
local function stat(name)
    return stats[name] or 0
end

-- Ids in lanes that may wait no more, looked at in all.
local looks = TQ_STATS_LOOK_MAX

-- When the next job of a lane was made, or nil: none was found that waits.
local function created_in(lane)
    local packs = call('LRANGE', lane, 0, TQ_LANE_READ - 1)
    for i = 1, #packs do
        local id, jobs = match(packs[i], '^(%d+) ?(%d*)')
        for k = 0, (tonumber(jobs) or 1) - 1 do
            local name = fmt('%.0f', id + k)
            local created = call('GETRANGE', J .. name, TQ_JOB_CREATED_FIRST - 1,
                                 TQ_JOB_CREATED_LAST - 1)
            local run = call('GETRANGE', R .. name, TQ_RUN_STATE_FIRST - 1,
                             TQ_RUN_STATE_LAST - 1)
            looks = looks - 1
            if created ~= '' and (run == '' or run == 'W') then
                return tonumber(created)
            elseif looks <= 0 then
                return nil
            end
        end
    end
end

-- When the oldest of the next jobs of all its lanes was made, or 0.
local function oldest_of(handler)
    local prefix, oldest = P .. 'h:' .. handler, nil
    local lanes = call('ZRANGE', prefix .. ':ready', 0, -1)
    for i = 1, #lanes do
        local created = looks > 0 and created_in(prefix .. ':lane:' .. lanes[i])
        oldest = created and min(oldest or created, created) or oldest
    end
    return oldest or 0
end

local out = {
    now, stat('forgotten'), 0, stat('failed'), stat('cancelled'),
    stat('retries'), stat('crashes'), stat('dead_dropped'), stat('duration_ms')
}
for d = 0, 14 do
    out[10 + d] = stat('d' .. d)
    out[3] = out[3] + out[10 + d]
end
out[25] = 0
out[26] = call('ZCARD', P .. 'scheduled')
out[27] = 0
out[28] = call('ZCARD', P .. 'dead')
-- Not the set's size: a member is a pack.
out[29] = call('EXISTS', P .. 'finished') == 0 and 0
          or out[3] - stat('success_periodic') + stat('cancelled')
             - stat('finished_gone')

local handlers = call('HGETALL', P .. 'handlers')
out[30], out[31] = #handlers / 2, 0
for i = 1, #handlers, 2 do
    local handler, received = handlers[i], tonumber(handlers[i + 1])
    local running = stat('claimed:' .. handler) - stat('left:' .. handler)
                    - (ended[handler] or 0)
    local scheduled = stat('sch:' .. handler)
    local waiting = received + stat('back:' .. handler) - scheduled
                    - stat('claimed:' .. handler)
    out[2] = out[2] + received
    out[25] = out[25] + waiting
    out[27] = out[27] + running
    local k = #out
    out[k + 1], out[k + 2], out[k + 3] = handler, received, waiting
    out[k + 4], out[k + 5] = scheduled, running
    out[k + 6] = stat('dead:' .. handler)
    out[k + 7] = waiting > 0 and oldest_of(handler) or 0
end

local workers = call('HGETALL', P .. 'workers')
for i = 1, #workers, 2 do
    local seen = tonumber(sub(workers[i + 1], 1, 13))
    if seen > now - TQ_WORKER_GONE_MS then
        local name, info = match(workers[i + 1], '^(%S*) (.*)$', 15)
        local k = #out
        out[31] = out[31] + 1
        out[k + 1], out[k + 2] = workers[i], name
        out[k + 3], out[k + 4] = seen, info
    end
end
local k = #out
out[k + 1] = stat('finished_bytes')
out[k + 2] = tonumber(call('HGET', P .. 'config', 'finished_max_bytes') or 0)
out[k + 3] = stat('finished_dropped')
return out

#!lua flags=no-writes
-- stats: counters, sizes, queues and workers.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  a flat array (places from 1; integers unless said):
--            1 now, ms    2 received    3 success    4 failed
--            5 cancelled  6 retries     7 crashes    8 dead_dropped
--            9 duration_ms (sum over successful runs)
--           10-24 d0 ... d14, successful runs by how long they took, see
--                complete (not cumulative)
--           25 waiting   26 scheduled  27 running   28 dead     29 finished
--           30 number of queues Q      31 number of workers W
--          then Q times 7: handler (string), received, waiting, scheduled,
--                running, dead, created time of the oldest waiting (ms, 0:
--                none)
--          then W times 4: worker id (string), name (string), last seen (ms),
--                info (string, JSON)
--          then bytes of finished and dead jobs (0: not weighed),
--                finished_max_bytes (0: none), jobs that were dropped for it
--@include now counted

local success, n = 0, call('HMGET', P .. 'stats', 'failed', 'cancelled',
    'retries', 'crashes', 'dead_dropped', 'duration_ms', 'd0', 'd1', 'd2', 'd3',
    'd4', 'd5', 'd6', 'd7', 'd8', 'd9', 'd10', 'd11', 'd12', 'd13', 'd14',
    'success_periodic', 'finished_gone', 'finished_bytes', 'finished_dropped')
for i = 1, #n do
    n[i] = tonumber(n[i]) or 0
    success = success + (i > 6 and i <= 21 and n[i] or 0)
end
local handlers = call('HGETALL', P .. 'handlers')
local out = { now, tonumber(match(call('GET', P .. 'seq') or '0', '^%d+')),
              success, unpack(n, 1, 21) }
local function add(...)
    for _, value in ipairs({ ... }) do
        out[#out + 1] = value
    end
end
-- Finished: not the set's size, for a member is a pack.
add(0, call('ZCARD', P .. 'scheduled'), 0, call('ZCARD', P .. 'dead'),
    call('EXISTS', P .. 'finished') == 0 and 0
    or success - n[22] + n[2] - n[23], #handlers / 2, 0)

-- Ids looked at in all, that may wait no more; and lanes of one handler.
local looks = TQ_STATS_LOOK_MAX
local most = max(1, floor(2 * TQ_STATS_LOOK_MAX / #handlers))

-- When the next job of a lane was made, or nil: none was found that waits.
local function created_in(lane)
    for _, pack in ipairs(call('LRANGE', lane, 0, TQ_LANE_READ - 1)) do
        local id, jobs = match(pack, '^(%d+) ?(%d*)')
        for k = id, id + (tonumber(jobs) or 1) - 1 do
            local name = fmt('%.0f', k)
            local created = call('GETRANGE', J .. name,
                                 TQ_JOB_CREATED_FIRST - 1,
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

for i = 1, #handlers, 2 do
    local handler, received, oldest = handlers[i], handlers[i + 1], nil
    local waiting, running, scheduled, dead = counted(handler, received)
    local prefix = P .. 'h:' .. handler
    for _, lane in ipairs(waiting > 0 and call('ZRANGE', prefix .. ':ready',
                                               -most, -1) or {})
    do
        local created = looks > 0 and created_in(prefix .. ':lane:' .. lane)
        oldest = created and min(oldest or created, created) or oldest
    end
    out[25], out[27] = out[25] + waiting, out[27] + running
    add(handler, tonumber(received) or 0, waiting, scheduled, running, dead,
        oldest or 0)
end

local workers = call('HGETALL', P .. 'workers')
for i = 1, #workers, 2 do
    local seen, name, info = match(workers[i + 1], '^(%d+) (%S*) (.*)$')
    if (tonumber(seen) or 0) > now - TQ_WORKER_GONE_MS then
        out[31] = out[31] + 1
        add(workers[i], name, tonumber(seen), info)
    end
end
add(n[24], tonumber(call('HGET', P .. 'config', 'finished_max_bytes') or 0),
    n[25])
return out

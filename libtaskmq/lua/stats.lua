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

--@include base
--@include now
--@include order

local GONE_MS, HOPS_MAX = 60000, 1000
local MODES = { 'p', 'f', 'l' }

local config = call('HMGET', P .. 'config', 'selection', 'moving')
local mode = sub(config[1] or 'p', 1, 1)
local moving = config[2]

local stats, flat = {}, call('HGETALL', P .. 'stats')
for i = 1, #flat, 2 do
    stats[flat[i]] = tonumber(flat[i + 1])
end
local function stat(name)
    return stats[name] or 0
end

-- The job that waits longest is the first of its priority (fifo: of all;
-- lifo: the last). Ids grow with time: the smallest of them. When there are
-- too many priorities to look at, the first ones.
local hops = 0
local function oldest_id(handler, set)
    local key = ready_key(handler, set)
    local at = set == 'l' and -1 or 0
    local got = call('ZRANGE', key, at, at, 'WITHSCORES')
    local best = tonumber(got[1])
    while set == 'p' and #got > 0 and hops < HOPS_MAX do
        hops = hops + 1
        local from = (floor(tonumber(got[2]) / BAND) + 1) * BAND
        got = call('ZRANGEBYSCORE', key, from, '+inf', 'WITHSCORES', 'LIMIT',
                   0, 1)
        best = min(best, tonumber(got[1] or best))
    end
    return best
end

local out = {
    now, stat('forgotten'), stat('success'), stat('failed'), stat('cancelled'),
    stat('retries'), stat('crashes'), stat('dead_dropped'), stat('duration_ms')
}
for d = 0, 14 do
    out[10 + d] = stat('d' .. d)
end
out[25] = 0
out[26] = call('ZCARD', P .. 'scheduled')
out[27] = call('ZCARD', P .. 'leased')
out[28] = call('ZCARD', P .. 'dead')
-- Not the set's size: a member is a pack. Of an empty set nothing is left,
-- though Redis may have evicted what the counters know.
out[29] = call('ZCARD', P .. 'finished') == 0 and 0
          or stat('success') - stat('success_periodic') + stat('cancelled')
             - stat('finished_gone')

local handlers = call('HGETALL', P .. 'handlers')
out[30], out[31] = #handlers / 2, 0
for i = 1, #handlers, 2 do
    local handler, received = handlers[i], tonumber(handlers[i + 1])
    local waiting, oldest = 0, nil
    for k = 1, 3 do
        if MODES[k] == mode or moving then
            local n = call('ZCARD', ready_key(handler, MODES[k]))
            if n > 0 then
                waiting = waiting + n
                oldest = min(oldest or math.huge,
                             oldest_id(handler, MODES[k]) or math.huge)
            end
        end
    end
    local created = 0
    if oldest and oldest < math.huge then
        local record = J .. fmt('%.0f', oldest)
        created = tonumber(call('GETRANGE', record, 13, 25)) or 0
    end
    out[2] = out[2] + received
    out[25] = out[25] + waiting
    local k = #out
    out[k + 1], out[k + 2], out[k + 3] = handler, received, waiting
    out[k + 4], out[k + 5] = stat('sch:' .. handler), stat('run:' .. handler)
    out[k + 6], out[k + 7] = stat('dead:' .. handler), created
end

local workers = call('HGETALL', P .. 'workers')
for i = 1, #workers, 2 do
    local seen = tonumber(sub(workers[i + 1], 1, 13))
    if seen > now - GONE_MS then
        local name, info = match(workers[i + 1], '^(%S*) (.*)$', 15)
        local k = #out
        out[31] = out[31] + 1
        out[k + 1], out[k + 2] = workers[i], name
        out[k + 3], out[k + 4] = seen, info
    end
end
return out

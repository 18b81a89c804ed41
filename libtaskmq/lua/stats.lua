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
--@include order

local GONE_MS = 60000
-- To find who waits longest: members and lanes looked at, jobs in lanes that
-- wait no more, in one lane and in all. After so many each handler's first
-- member has to do.
local HOPS_MAX, LANE_LOOKS, LOOKS_MAX = 1000, 100, 2000
-- A lifo set's members read at once: more than there can be lanes. As many hops
-- as that costs.
local TAIL, TAIL_HOPS = 102, 8
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

-- The id of a ready set's member; of a lane, of its first job that still
-- waits, or of the one at which it has looked at too many, and its place.
local hops, looks = 0, 0
local function id_of(handler, member)
    if byte(member) < 58 then
        return tonumber(member)
    end
    local key = P .. 'h:' .. handler .. ':lane:' .. sub(member, 2)
    local looked = 0
    for from = 0, 1 do
        local packs = call('LRANGE', key, from, from * LANE_LOOKS)
        for i = 1, #packs do
            local id, jobs, place = match(packs[i], '^(%d+) (%d+) (%d+)$')
            for k = 0, jobs - 1 do
                local name = fmt('%.0f', id + k)
                if looked >= LANE_LOOKS or looks >= LOOKS_MAX
                   or call('EXISTS', J .. name) > call('EXISTS', R .. name)
                then
                    return id + k, place + k
                end
                looked, looks = looked + 1, looks + 1
            end
        end
    end
end

-- lifo: the last job of the set, or the first one of a lane.
local LANES = {}
for priority = 0, 100 do
    LANES[priority + 1] = fmt('L%03d', priority)
end
local function oldest_of_all(handler, key)
    local tail = call('ZRANGE', key, -TAIL, -1, 'WITHSCORES')
    local lanes, best, first = {}, nil, math.huge
    for i = 1, #tail, 2 do
        local member, score = tail[i], tonumber(tail[i + 1])
        if byte(member) < 58 then
            best, first = tonumber(member), place_of('l', score)
        else
            lanes[#lanes + 1] = member
        end
    end
    if #tail == 2 * TAIL then
        lanes = {}
        for i, score in ipairs(call('ZMSCORE', key, unpack(LANES))) do
            -- false where there is no such lane
            if score then
                lanes[#lanes + 1] = LANES[i]
            end
        end
    end
    for i = 1, #lanes do
        local id, place = id_of(handler, lanes[i])
        hops = hops + 1
        if id and place < first then
            best, first = id, place
        end
    end
    return best
end

-- The job that waits longest is the first of its priority (fifo: of all). Ids
-- grow with time: the smallest of them. When there are too many priorities to
-- look at, the first ones. A lane whose first jobs wait no more may have others
-- before the next one.
local function oldest_id(handler, set)
    local key, at = ready_key(handler, set), set == 'l' and -1 or 0
    if set == 'l' and hops < HOPS_MAX then
        hops = hops + TAIL_HOPS
        return oldest_of_all(handler, key)
    end
    local got = call('ZRANGE', key, at, at, 'WITHSCORES')
    if hops >= HOPS_MAX then
        return got[1] and (id_of(handler, got[1]))
    end
    local best, id, first = math.huge, nil, nil
    while #got > 0 and hops < HOPS_MAX do
        hops = hops + 1
        local score = tonumber(got[2])
        local band = set == 'p' and floor(score / BAND) or 0
        local member, place = id_of(handler, got[1])
        if place then
            score = band * BAND + MID + place
        end
        if member and (not first or score < first) then
            id, first = member, score
        end
        local past = set == 'p' and (band + 1) * BAND or math.huge
        got = call('ZRANGEBYSCORE', key, '(' .. got[2],
                   '(' .. fmt('%.0f', first or past), 'LIMIT', 0, 1,
                   'WITHSCORES')
        if #got == 0 then
            best = min(best, id or best)
            id, first = nil, nil
            got = set == 'p' and call('ZRANGEBYSCORE', key, past, '+inf',
                                      'WITHSCORES', 'LIMIT', 0, 1) or got
        end
    end
    return min(best, id or best)
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
out[27] = 0
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
    local running = stat('claimed:' .. handler) - stat('left:' .. handler)
    local scheduled = stat('sch:' .. handler)
    local waiting = received + stat('back:' .. handler) - scheduled
                    - stat('claimed:' .. handler)
    local oldest = math.huge
    for k = 1, 3 do
        if waiting > 0 and (MODES[k] == mode or moving) then
            oldest = min(oldest, oldest_id(handler, MODES[k]) or oldest)
        end
    end
    local created = 0
    if oldest < math.huge then
        local record = J .. fmt('%.0f', oldest)
        created = tonumber(call('GETRANGE', record, 13, 25)) or 0
    end
    out[2] = out[2] + received
    out[25] = out[25] + waiting
    out[27] = out[27] + running
    local k = #out
    out[k + 1], out[k + 2], out[k + 3] = handler, received, waiting
    out[k + 4], out[k + 5] = scheduled, running
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
local k = #out
out[k + 1] = stat('finished_bytes')
out[k + 2] = tonumber(call('HGET', P .. 'config', 'finished_max_bytes') or 0)
out[k + 3] = stat('finished_dropped')
return out

#!lua flags=allow-oom
-- sweep: removes jobs whose time is over, and, where finished and dead ones take
-- more than finished_max_bytes, those that would go next. Forgets workers that
-- were not seen for a minute.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  jobs removed, more (1: call again soon); integers

--@include base
--@include now
--@include bulk
--@include unlink
--@include bytes

local swept, looked, more = 0, 0, 0
local most = tonumber(call('HGET', P .. 'config', 'finished_max_bytes') or 0)

-- Removes members whose time is at most `last`; where over is given, only until
-- so many bytes less are taken. Returns what is still over.
local function sweep(set, last, over)
    local members = call('ZRANGEBYSCORE', P .. set, '-inf', last, 'LIMIT', 0,
                         TQ_SWEEP_MAX)
    local sizes = over and #members > 0
                  and call('HMGET', P .. 'bytes', unpack(members))
    local ids, taken = {}, 0
    while taken < #members and looked + #ids < TQ_SWEEP_MAX
          and not (over and over <= 0)
    do
        taken = taken + 1
        for id in string.gmatch(members[taken], '%d+') do
            ids[#ids + 1] = id
        end
        over = over and over - (sizes[taken] or 0)
    end
    looked = looked + #ids
    if looked >= TQ_SWEEP_MAX then
        more = 1
    end
    if taken == 0 then
        return over
    end
    local gone = { unpack(members, 1, taken) }
    call('ZREM', P .. set, unpack(gone))
    if most > 0 then
        unweigh(gone)
    end
    if set == 'dead' then
        count_dead_out(ids)
    end
    -- Some may have been deleted before.
    local there = unlink(ids)
    swept = swept + there
    if set == 'finished' and there > 0 then
        call('HINCRBY', P .. 'stats', 'finished_gone', there)
    end
    if over then
        call('HINCRBY', P .. 'stats', set .. '_dropped', there)
    end
    return over
end

sweep('dead', now)
sweep('finished', now)
if most > 0 then
    -- What would go next: finished jobs, then dead ones.
    local over = (call('HGET', P .. 'stats', 'finished_bytes') or 0) - most
    for _, set in ipairs({ 'finished', 'dead' }) do
        if over > 0 then
            over = sweep(set, '+inf', over)
        end
    end
end

local workers, absent = call('HGETALL', P .. 'workers'), {}
for i = 1, #workers, 2 do
    if tonumber(sub(workers[i + 1], 1, 13)) <= now - TQ_WORKER_GONE_MS then
        absent[#absent + 1] = workers[i]
    end
end
bulk('HDEL', P .. 'workers', absent)
call('ZREMRANGEBYSCORE', P .. 'served', '-inf', now - TQ_WORKER_GONE_MS)
return { swept, more }

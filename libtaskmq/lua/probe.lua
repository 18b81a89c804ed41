#!lua
-- probe: could a job be stored now? Writes nothing, but is a script that may
-- write, without flags: Redis refuses it when full, read-only or stale.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  waiting jobs, live workers, maxmemory-policy is noeviction (1 yes,
--          0 no, -1 cannot be read), how full finished_max_bytes and Redis'
--          maxmemory are (percent; -1: no such bound); integers
--@include now counted

local waiting, live = 0, 0
local handlers = call('HGETALL', P .. 'handlers')
for i = 1, #handlers, 2 do
    waiting = waiting + counted(handlers[i], handlers[i + 1])
end
local workers = call('HVALS', P .. 'workers')
for i = 1, #workers do
    if (tonumber(sub(workers[i], 1, 13)) or 0) > now - TQ_WORKER_GONE_MS then
        live = live + 1
    end
end

-- It may be forbidden to this user.
local info = redis.pcall('INFO', 'memory')
info = type(info) == 'string' and info or ''
local policy = match(info, 'maxmemory_policy:(%S+)')
-- In percent of a bound, -1 where there is none.
local function percent(bytes, bound)
    return bound > 0 and floor(100 * bytes / bound) or -1
end
return {
    waiting, live, policy and (policy == 'noeviction' and 1 or 0) or -1,
    percent(call('HGET', P .. 'stats', 'finished_bytes') or 0,
            tonumber(call('HGET', P .. 'config', 'finished_max_bytes') or 0)),
    percent(tonumber(match(info, 'used_memory:(%d+)') or 0),
            tonumber(match(info, '\nmaxmemory:(%d+)') or 0))
}

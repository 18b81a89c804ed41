#!lua
-- probe: could a job be stored now? Writes nothing, but is a script that may
-- write, without flags: Redis refuses it when full, read-only or stale.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  waiting jobs, live workers, maxmemory-policy is noeviction (1 yes,
--          0 no, -1 cannot be read); integers

--@include base
--@include now

local GONE_MS = 60000

-- Waiting: received and come back, but not scheduled and not claimed.
local SIGNS = { ['back:'] = 1, ['sch:'] = -1, ['claimed:'] = -1 }
local waiting, live = 0, 0
local received = call('HVALS', P .. 'handlers')
for i = 1, #received do
    waiting = waiting + received[i]
end
local stats = call('HGETALL', P .. 'stats')
for i = 1, #stats, 2 do
    waiting = waiting + stats[i + 1] * (SIGNS[match(stats[i], '^%l+:')] or 0)
end
local workers = call('HVALS', P .. 'workers')
for i = 1, #workers do
    if tonumber(sub(workers[i], 1, 13)) > now - GONE_MS then
        live = live + 1
    end
end

-- May be forbidden to this user.
local info = redis.pcall('INFO', 'memory')
local policy = type(info) == 'string'
               and match(info, 'maxmemory_policy:(%S+)')
return { waiting, live, policy and (policy == 'noeviction' and 1 or 0) or -1 }

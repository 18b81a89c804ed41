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
--@include order

local GONE_MS = 60000
local MODES = { 'p', 'f', 'l' }

local config = call('HMGET', P .. 'config', 'selection', 'moving')
local mode = sub(config[1] or 'p', 1, 1)

local waiting, live = 0, 0
local handlers = call('HKEYS', P .. 'handlers')
for i = 1, #handlers do
    for k = 1, 3 do
        if MODES[k] == mode or config[2] then
            waiting = waiting + call('ZCARD', ready_key(handlers[i], MODES[k]))
        end
    end
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

#!lua flags=allow-oom
-- fail: runs that failed: waits for its retry, or ends as dead.
--
-- KEYS[1]  prefix
-- ARGV     jitter (0-999999), then per job: id, token (28), retryable "1"/"0",
--          or "d": dead, even a periodic job,
--          error text, log ("": keep what is there), wait asked for, ms, or -1
--          Job i of the call (from 0) uses jitter (jitter + i * 618034) mod
--          1000000.
-- Returns  per job a verdict: 0 ok, 1 already (this token failed it before, or
--          cancel ended it in this worker's hands: the log is kept, if there
--          is one, and nothing else), 2 stale, 3 gone
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base
--@include bad
--@include now
--@include bulk
--@include order
--@include header
--@include shared
--@include batch
--@include run

local ERROR_MAX = 16384

local n = (#argv - 1) / 6
local jitter = tonumber(argv[1])
if n ~= floor(n) or not jitter then
    return bad('fail: arguments')
end

local names = { 'retention_s', 'dead_retention_s', 'dead_max', 'max_retries',
                'daemon_max_retries', 'retry_wait_ms', 'retry_wait_max_ms' }
local defaults = { 86400, 2592000, 100000, 2, 3, 2000, 3600000 }
local config = call('HMGET', P .. 'config', unpack(names))
for i = 1, #names do
    config[i] = tonumber(config[i] or defaults[i])
end
local retention, dead_retention, dead_max = config[1], config[2], config[3]
local max_retries, daemon_max_retries = config[4], config[5]
local wait_ms, wait_max_ms = config[6], config[7]

local answer, seen = {}, {}

-- How often the job's policy lets it run again.
local function budget(run, h)
    if sub(run, h + 7, h + 7) == 'n' then
        return 0
    end
    local asked = sub(run, h + 9, h + 11)
    if asked == 't--' then
        return max_retries
    end
    return asked == 'd--' and daemon_max_retries or tonumber(asked)
end

local function wait_for(run, h, attempts, i, asked)
    local wait = wait_ms
    if sub(run, h + 7, h + 7) == 'e' then
        wait = min(wait * 2 ^ (attempts - 1), wait_max_ms)
        local part = (jitter + (i - 1) * 618034) % 1000000
        wait = wait - floor(wait * part / 4000000)
    end
    return min(max(wait, asked), wait_max_ms)
end

local function one(i, run)
    local a = 6 * i - 4
    local id, token, retryable = argv[a], argv[a + 1], argv[a + 2] == '1'
    local err, log, asked = sub(argv[a + 3], 1, ERROR_MAX), argv[a + 4],
                            tonumber(argv[a + 5])
    if not run then
        return call('EXISTS', J .. id) == 1 and 2 or 3
    end
    if sub(run, 2, 29) ~= token then
        if log == '' or sub(run, 1, 29) ~= 'C' .. NO_COUNTER .. sub(token, 13)
        then
            return 2
        end
        add(sets, P .. 'l:' .. id, log)
        seen[id] = true
        return 1
    end
    if seen[id] then
        return 1
    end
    local state = sub(run, 1, 1)
    if not is_run(run) then
        return 2
    end
    if state ~= 'R' and state ~= 'E' then
        return state == 'S' and 2 or 1
    end

    local h = header_at(run)
    local handler = handler_at(run, h)
    local counter = sub(run, 2, 13)
    local attempts = min(sub(run, 63, 65) + 1, 999)
    local crashes, runs = tonumber(sub(run, 67, 67)),
                          tonumber(sub(run, 69, 78))
    if retryable and state == 'R' and attempts <= budget(run, h) then
        leave_lease(id, run, handler)
        add(sets, R .. id, rewrite(run, 'W', counter, attempts, crashes, runs,
                                   '0000000000000', err, ''))
        to_sched(id, now + wait_for(run, h, attempts, i, asked), handler)
        bump('retries', 1)
    elseif is_periodic(run, h) and argv[a + 2] ~= 'd' then
        end_periodic(id, run, h, handler, counter, err, '', retention)
        bump('failed', 1)
    else
        to_dead(id, run, handler, counter, attempts, crashes, err,
                dead_retention)
    end
    if log ~= '' then
        add(sets, P .. 'l:' .. id, log)
    end
    seen[id] = true
    return 0
end

for i = 1, n do
    if not tonumber(argv[6 * i + 1]) then
        return bad('fail: wait of job ' .. i)
    end
end
for from = 0, n - 1, 1000 do
    local keys, m = {}, min(1000, n - from)
    for i = 1, m do
        keys[i] = R .. argv[6 * (from + i) - 4]
    end
    local runs = call('MGET', unpack(keys))
    for i = 1, m do
        answer[from + i] = one(from + i, runs[i])
    end
end
if next(seen) then
    flush(nil, dead_max)
end
return answer

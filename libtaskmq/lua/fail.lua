#!lua flags=allow-oom
-- fail: runs that did not succeed: each waits for its retry, or its job is dead,
-- or, unrun, it was given back: then it is the next one of its lane, nothing
-- counted; a periodic job that was cancelled while running ends as cancelled.
--
-- KEYS[1]  prefix
-- ARGV     jitter (0-999999), then per job: id, token (28), what: "1" retryable,
--          "0" not, "d" dead, even a periodic job, "r" given back (released),
--          error text, log ("": keep what is there), wait asked for, ms, or -1
--          Job i of the call (from 0) uses jitter (jitter + i * 618034) mod
--          1000000.
-- Returns  per job a verdict: 0 ok, 1 already (this token failed it before, or
--          cancel ended it in this worker's hands: the log is kept, if there
--          is one, and nothing else; never where given back), 2 stale, 3 gone
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base now run periodic dead back

local n, jitter = floor((#argv - 1) / 6), tonumber(argv[1])
local bad = not jitter or #argv ~= 6 * n + 1
for i = 7, #argv, 6 do
    bad = bad or not tonumber(argv[i])
end
if bad then
    return redis.error_reply('ERR TASKMQ fail: arguments')
end

local config = call('HMGET', P .. 'config', 'max_retries', 'daemon_max_retries',
                    'retry_wait_ms', 'retry_wait_max_ms')
local wait_ms = tonumber(config[3] or TQ_RETRY_WAIT_MS)
local wait_max_ms = tonumber(config[4] or TQ_RETRY_WAIT_MAX_MS)

-- How often the job's policy lets it run again.
local function budget(run, h)
    local retries = sub(run, h + TQ_JOB_RETRIES_FIRST, h + TQ_JOB_RETRIES_LAST)
    if byte(run, h + TQ_JOB_POLICY_FIRST) == 110 then
        return 0
    elseif retries == 't--' then
        retries = config[1] or TQ_MAX_RETRIES_DEFAULT
    elseif retries == 'd--' then
        retries = config[2] or TQ_DAEMON_RETRIES_DEFAULT
    end
    return tonumber(retries)
end

local function wait_for(run, h, attempts, i, asked)
    local wait = wait_ms
    if byte(run, h + TQ_JOB_POLICY_FIRST) == 101 then
        wait = min(wait * 2 ^ (attempts - 1), wait_max_ms)
        local part = (jitter + (i - 1) * 618034) % 1000000
        wait = wait - floor(wait * part / 4000000)
    end
    return min(max(wait, tonumber(asked)), wait_max_ms)
end

local seen = {}

-- The verdict of job i.
local function one(i, id, token, what, err, log, asked)
    local run, already = call('GET', R .. id), what == 'r' and 2 or 1
    if not run then
        return call('EXISTS', J .. id) == 1 and 2 or 3
    end
    local state, counter = sub(run, TQ_RUN_STATE), sub(run, TQ_RUN_COUNTER)
    if sub(run, TQ_RUN_TOKEN) ~= token then
        if log == '' or state ~= 'C' or counter ~= NO_COUNTER
           or sub(run, TQ_RUN_WORKER) ~= sub(token, 13)
        then
            return 2
        end
        call('SET', P .. 'l:' .. id, log)
        return 1
    elseif seen[id] then
        return already
    elseif not is_run(run) or state == 'S' then
        return 2
    elseif state ~= 'R' and state ~= 'E' then
        return already
    end

    local h = header_at(run)
    local new = { state = 'W', counter = counter,
                  err = sub(err, 1, TQ_ERROR_MAX_BYTES),
                  attempts = min(sub(run, TQ_RUN_ATTEMPTS) + 1, 999) }
    if what == 'r' then
        give_back(id, run)
    elseif what == '1' and state == 'R' and new.attempts <= budget(run, h) then
        local handler = handler_at(run, h)
        run_over(token, handler)
        add(sets, R .. id, rewrite(run, new))
        to_sched(id, now + wait_for(run, h, new.attempts, i, asked), handler)
        bump('retries', 1)
    elseif is_periodic(run, h) and what ~= 'd' then
        end_periodic(id, run, h, new)
        bump('failed', 1)
    else
        to_dead(id, run, h, new)
    end
    if log ~= '' then
        add(sets, P .. 'l:' .. id, log)
    end
    seen[id] = true
    return 0
end

local answer = {}
for i = 1, n do
    answer[i] = one(i, unpack(argv, 6 * i - 4, 6 * i + 1))
end
if next(seen) then
    put_back()
    flush()
end
return answer

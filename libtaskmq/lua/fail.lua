#!lua flags=allow-oom
-- fail: runs that failed: each waits for its retry, or its job is dead.
--
-- KEYS[1]  prefix
-- ARGV     jitter (0-999999), then per job: id, token (28), retryable "1"/"0"
--          or "d": dead, even a periodic job, error text, log ("": keep what is
--          there), wait asked for, ms, or -1
--          Job i of the call (from 0) uses jitter (jitter + i * 618034) mod
--          1000000.
-- Returns  per job a verdict: 0 ok, 1 already (this token failed it before, or
--          cancel ended it in this worker's hands: the log is kept, if there
--          is one, and nothing else), 2 stale, 3 gone
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base
--@include bad
--@include now
--@include run
--@include periodic
--@include dead
--@include sound

local n, jitter = (#argv - 1) / 6, tonumber(argv[1])
if n ~= floor(n) or not jitter then
    return bad('fail: arguments')
end
for i = 7, #argv, 6 do
    if not tonumber(argv[i]) then
        return bad('fail: argument ' .. i)
    end
end

local config = call('HMGET', P .. 'config', 'max_retries', 'daemon_max_retries',
                    'retry_wait_ms', 'retry_wait_max_ms')
local max_retries = tonumber(config[1] or TQ_MAX_RETRIES_DEFAULT)
local daemon_max_retries = tonumber(config[2] or TQ_DAEMON_RETRIES_DEFAULT)
local wait_ms = tonumber(config[3] or TQ_RETRY_WAIT_MS)
local wait_max_ms = tonumber(config[4] or TQ_RETRY_WAIT_MAX_MS)

-- How often the job's policy lets it run again.
local function budget(run, h)
    local retries = sub(run, h + TQ_JOB_RETRIES_FIRST, h + TQ_JOB_RETRIES_LAST)
    if byte(run, h + TQ_JOB_POLICY_FIRST) == 110 then
        return 0
    elseif retries == 't--' then
        return max_retries
    end
    return retries == 'd--' and daemon_max_retries or tonumber(retries)
end

local function wait_for(run, h, attempts, i, asked)
    local wait = wait_ms
    if byte(run, h + TQ_JOB_POLICY_FIRST) == 101 then
        wait = min(wait * 2 ^ (attempts - 1), wait_max_ms)
        local part = (jitter + (i - 1) * 618034) % 1000000
        wait = wait - floor(wait * part / 4000000)
    end
    return min(max(wait, asked), wait_max_ms)
end

local seen = {}

-- The verdict of job i.
local function one(i, id, token, kind, err, log, asked)
    local run = call('GET', R .. id)
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
        return 1
    elseif not is_run(run) then
        return 2
    elseif state ~= 'R' and state ~= 'E' then
        return state == 'S' and 2 or 1
    end

    local h = header_at(run)
    local attempts = min(sub(run, TQ_RUN_ATTEMPTS) + 1, 999)
    if kind == '1' and state == 'R' and attempts <= budget(run, h) then
        local handler = handler_at(run, h)
        run_over(token, handler)
        add(sets, R .. id, rewrite(run, 'W', counter, attempts,
                                   crashes_of(run), NO_TIME, err))
        to_sched(id, now + wait_for(run, h, attempts, i, asked), handler)
        bump('retries', 1)
    elseif is_periodic(run, h) and kind ~= 'd' then
        end_periodic(id, run, h, counter, err, '')
        bump('failed', 1)
    else
        to_dead(id, run, h, counter, attempts, crashes_of(run), err)
    end
    if log ~= '' then
        add(sets, P .. 'l:' .. id, log)
    end
    seen[id] = true
    return 0
end

local answer = {}
for i = 1, n do
    local a = 6 * i - 4
    answer[i] = one(i, argv[a], argv[a + 1], argv[a + 2],
                    sub(argv[a + 3], 1, TQ_ERROR_MAX_BYTES), argv[a + 4],
                    tonumber(argv[a + 5]))
end
if next(seen) then
    flush()
    trim_dead()
end
return answer

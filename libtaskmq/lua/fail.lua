#!lua flags=allow-oom
-- fail: runs that did not succeed: each waits for its retry, or its job is dead;
-- or, unrun, it was given back, and is the next one of its lane, uncounted.
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
--@include now back

local jitter, bad = tonumber(argv[1]), #argv % 6 ~= 1
for i = 7, #argv, 6 do
    bad = bad or not tonumber(argv[i])
end
if bad or not jitter then
    return redis.error_reply('ERR TASKMQ fail: arguments')
end

local config = call('HMGET', P .. 'config', 'max_retries', 'daemon_max_retries',
                    'retry_wait_ms', 'retry_wait_max_ms')
local retries = { ['t--'] = config[1] or TQ_MAX_RETRIES_DEFAULT,
                  ['d--'] = config[2] or TQ_DAEMON_RETRIES_DEFAULT }
local wait_ms = tonumber(config[3] or TQ_RETRY_WAIT_MS)
local wait_max_ms = tonumber(config[4] or TQ_RETRY_WAIT_MAX_MS)
local answer, seen = {}, {}

-- How long a run that failed for so many times waits for the next; nil: that is
-- one more than its job's policy lets it have.
local function wait_for(run, h, attempts, asked)
    local at, wait = h + TQ_JOB_POLICY_FIRST, wait_ms
    local policy = sub(run, at, at)
    local budget = sub(run, h + TQ_JOB_RETRIES_FIRST, h + TQ_JOB_RETRIES_LAST)
    if policy == 'n' or attempts > tonumber(retries[budget] or budget) then
        return nil
    elseif policy == 'e' then
        local part = (jitter + #answer * 618034) % 1000000
        wait = min(wait * 2 ^ (attempts - 1), wait_max_ms)
        wait = wait - floor(wait * part / 4000000)
    end
    return min(max(wait, tonumber(asked)), wait_max_ms)
end

-- The verdict of a job.
local function one(id, token, what, err, log, asked)
    local run = call('GET', R .. id) or ''
    local verdict = verdict_of(id, run, token, sub(token, 13))
    if verdict == 4 and log ~= '' then
        call('SET', P .. 'l:' .. id, log)
        return 1
    elseif verdict == 1 or verdict == 0 and seen[id] then
        return what == 'r' and 2 or 1
    elseif verdict ~= 0 or not is_run(run) then
        return verdict == 3 and 3 or 2
    end

    local h, attempts = header_at(run), sub(run, TQ_RUN_ATTEMPTS) + 1
    local wait = what == '1' and sub(run, TQ_RUN_STATE) == 'R'
                 and wait_for(run, h, attempts, asked)
    local new = { state = 'W', counter = sub(run, TQ_RUN_COUNTER),
                  err = sub(err, 1, TQ_ERROR_MAX_BYTES),
                  attempts = min(attempts, 999) }
    if what == 'r' then
        give_back(id, run)
    elseif wait then
        to_sched(id, now + wait, over(id, run, h, new))
        bump('retries', 1)
    else
        end_failed(id, run, h, new, what == 'd')
    end
    if log ~= '' then
        add(sets, P .. 'l:' .. id, log)
    end
    seen[id] = true
    return 0
end
for i = 2, #argv, 6 do
    answer[#answer + 1] = one(unpack(argv, i, i + 5))
end
if next(seen) then
    put_back()
end
return answer

#!lua flags=allow-oom
-- reap: takes back expired leases, and sees to it that a clock that was set back
-- delays no run by more than its interval.
--
-- KEYS[1]  prefix
-- ARGV     optional: not after (ms); later than that nothing is done (a call
--          that waited in the socket of a stopped Redis must not run)
-- Returns  now (ms), requeued, failed (third crash, or cancelled while
--          running), more (1: call again soon); all integers

--@include base
--@include now

local latest = tonumber(argv[1] or '')
if latest and now > latest then
    return { now, 0, 0, 0 }
end

--@include run
--@include running
--@include unreadable
--@include back
--@include periodic
--@include dead
--@include clock

local requeued, failed, more = 0, 0, 0

-- A job whose worker was lost.
local function lost(id, run)
    if not is_run(run) then
        local record = call('GETRANGE', J .. id, 0, 127)
        local handler = is_header(record, 0) and handler_at(record, 0) or '?'
        run_over(sub(run, TQ_RUN_TOKEN), handler)
        unreadable(id, handler, 'last run')
        return false
    end
    local crashes, h = crashes_of(run) + 1, header_at(run)
    bump('crashes', 1)
    if crashes < TQ_CRASHES_MAX then
        return give_back(id, run, crashes)
    end
    local err = 'worker lost ' .. TQ_CRASHES_MAX .. ' times'
    if sub(run, TQ_RUN_STATE) == 'E' then
        end_cancelled(id, run, h)
    elseif is_periodic(run, h) then
        end_periodic(id, run, h, NO_COUNTER, err, '')
        bump('failed', 1)
    else
        to_dead(id, run, h, NO_COUNTER, tonumber(sub(run, TQ_RUN_ATTEMPTS)),
                crashes, err)
    end
    return false
end

-- Leases of a hundred jobs in all, and the rest of the last one.
local tokens = call('ZRANGEBYSCORE', P .. 'leased', '-inf', now, 'LIMIT', 0,
                    TQ_REAP_MAX)
for i = 1, #tokens do
    if requeued + failed >= TQ_REAP_MAX then
        more = 1
        break
    end
    local jobs = running(tokens[i])
    for k = 1, #jobs, 2 do
        if lost(jobs[k], jobs[k + 1]) then
            requeued = requeued + 1
        else
            failed = failed + 1
        end
    end
    left[tokens[i]] = math.huge
end
if #tokens == TQ_REAP_MAX then
    more = 1
end
flush()
trim_dead()
if mend_clock() then
    more = 1
end
return { now, requeued, failed, more }

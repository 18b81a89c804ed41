#!lua flags=allow-oom
-- reap: takes back expired leases.
--
-- KEYS[1]  prefix
-- ARGV     optional: not after (ms); later than that nothing is done (a call
--          that waited in the socket of a stopped Redis must not run)
-- Returns  now (ms), requeued, failed (third crash, or cancelled while
--          running), more (1: call again soon); all integers

--@include base now

local latest = tonumber(argv[1] or '')
if latest and now > latest then
    return { now, 0, 0, 0 }
end

--@include run running unreadable periodic dead back

local requeued, failed, more = 0, 0, 0

-- A job whose worker was lost. Returns whether it waits again.
local function lost(id, run)
    local h = header_at(run)
    if not is_run(run) then
        local record = call('GETRANGE', J .. id, 0, 127)
        local handler = is_header(record, 0) and handler_at(record, 0) or '?'
        run_over(sub(run, TQ_RUN_TOKEN), handler)
        unreadable(id, handler, 'last run')
        return false
    end
    local new = { crashes = sub(run, TQ_RUN_CRASHES) + 1,
                  err = 'worker lost ' .. TQ_CRASHES_MAX .. ' times' }
    bump('crashes', 1)
    if new.crashes < TQ_CRASHES_MAX or sub(run, TQ_RUN_STATE) == 'E' then
        return give_back(id, run, new.crashes)
    elseif is_periodic(run, h) then
        end_periodic(id, run, h, new)
        bump('failed', 1)
    else
        to_dead(id, run, h, new)
    end
    return false
end

-- Leases of a hundred jobs in all, and the rest of the last one.
local tokens = call('ZRANGEBYSCORE', P .. 'leased', '-inf', now, 'LIMIT', 0,
                    TQ_REAP_MAX)
for _, token in ipairs(tokens) do
    if requeued + failed >= TQ_REAP_MAX then
        more = 1
        break
    end
    local jobs = running(token)
    for k = 1, #jobs, 2 do
        if lost(jobs[k], jobs[k + 1]) then
            requeued = requeued + 1
        else
            failed = failed + 1
        end
    end
    left[token] = math.huge
end
put_back()
flush()
return { now, requeued, failed, #tokens == TQ_REAP_MAX and 1 or more }

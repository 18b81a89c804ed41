#!lua flags=allow-oom
-- reap: takes back expired leases.
--
-- KEYS[1]  prefix
-- ARGV     optional: not after (ms); later than that nothing is done (a call
--          that waited in the socket of a stopped Redis must not run)
-- Returns  now (ms), requeued, failed (third crash, or cancelled while
--          running), more (1: call again soon); all integers
--@include now

local latest = tonumber(argv[1] or '')
if latest and now > latest then
    return { now, 0, 0, 0 }
end

--@include back unreadable

local taken, requeued, more = 0, 0, 0

-- A job whose worker was lost: it waits again, or ends.
local function lost(id, run)
    taken = taken + 1
    if not is_run(run) then
        local record = call('GETRANGE', J .. id, 0, 127)
        local handler = handler_at(record, 0)
        run_over(sub(run, TQ_RUN_TOKEN), handler)
        unreadable(id, handler, 'last run')
        return
    end
    local crashes = sub(run, TQ_RUN_CRASHES) + 1
    bump('crashes', 1)
    if crashes >= TQ_CRASHES_MAX and sub(run, TQ_RUN_STATE) == 'R' then
        end_failed(id, run, header_at(run), {
            crashes = crashes, err = 'worker lost ' .. crashes .. ' times'
        })
    elseif give_back(id, run, crashes) then
        requeued = requeued + 1
    end
end

-- Leases of a hundred jobs in all, and the rest of the last one.
local tokens = call('ZRANGEBYSCORE', P .. 'leased', '-inf', now, 'LIMIT', 0,
                    TQ_REAP_MAX)
for _, token in ipairs(tokens) do
    if taken >= TQ_REAP_MAX then
        more = 1
        break
    end
    each_running(token, lost)
    left[token] = math.huge
end
put_back()
return { now, requeued, taken - requeued, #tokens == TQ_REAP_MAX and 1 or more }

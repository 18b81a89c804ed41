#!lua flags=allow-oom
-- reap: takes back up to 100 expired leases, sweeps expired jobs, forgets
-- workers not seen for a minute, and sees to it that a clock that was set back
-- delays no run by more than its interval.
--
-- KEYS[1]  prefix
-- ARGV     optional: not after (ms); later than that nothing is done (a call
--          that waited in the socket of a stopped Redis must not run)
-- Returns  now (ms), requeued, failed (third crash, or cancelled while
--          running), swept, more (1: call again soon); all integers

--@include base
--@include now

local latest = tonumber(argv[1] or '')
if latest and now > latest then
    return { now, 0, 0, 0, 0 }
end

--@include bulk
--@include order
--@include header
--@include shared
--@include batch
--@include run
--@include unreadable

local REAP_MAX, SWEEP_MAX, CRASHES_MAX, GONE_MS = 100, 100, 3, 60000
-- Jobs of shared leases looked at, and how such a member begins: T.
local DISSOLVE_MAX, SHARED = 1000, 84
-- A clock that was set back by more, and what is looked at then.
local CLOCK_BACK_MS, CLOCK_MAX, LEASE_MAX_MS = 1000, 1000, 3600000

local config = call('HMGET', P .. 'config', 'selection', 'retention_s',
                    'dead_retention_s', 'dead_max', 'retry_wait_max_ms',
                    'finished_max_bytes')
local mode = sub(config[1] or 'p', 1, 1)
local retention = tonumber(config[2] or 86400)
local dead_retention = tonumber(config[3] or 2592000)
local dead_max = tonumber(config[4] or 100000)
local wait_max = tonumber(config[5] or 3600000)

local sweep_limit, max_bytes = SWEEP_MAX, config[6]
--@include sweep
local requeued, failed = 0, 0

-- Shared leases become the jobs' own, which are as expired; too many at once
-- wait for the next call.
local ids, looked, found = nil, 0, nil
repeat
    ids = call('ZRANGEBYSCORE', P .. 'leased', '-inf', now, 'LIMIT', 0,
               REAP_MAX)
    found = false
    for i = 1, #ids do
        if byte(ids[i]) == SHARED and looked < DISSOLVE_MAX then
            looked = looked + dissolve(sub(ids[i], 2))
            found = true
        end
    end
until not found
local more = #ids == REAP_MAX
for i = #ids, 1, -1 do
    if byte(ids[i]) == SHARED then
        more = true
        table.remove(ids, i)
    end
end
for i = 1, #ids do
    local id = ids[i]
    local run = call('GET', R .. id)
    if not run then
        -- Evicted. The job may still be there: then it starts anew.
        unlease[#unlease + 1] = id
        local head = call('GETRANGE', J .. id, 0, 299)
        if head ~= '' and not is_header(head, 1) then
            local handler = handler_at(head, 1)
            bump('left:' .. handler, 1)
            unreadable(id, handler, 'record')
            failed = failed + 1
        elseif head ~= '' then
            local handler = handler_at(head, 1)
            bump('left:' .. handler, 1)
            bump('crashes', 1)
            to_ready(id, score_of(mode, tonumber(sub(head, 4, 6)),
                                  call('INCR', P .. 'order')), handler)
            requeued = requeued + 1
        end
    elseif not is_run(run) then
        local head = call('GETRANGE', J .. id, 0, 299)
        local handler = is_header(head, 1) and handler_at(head, 1) or '?'
        leave_lease(id, run, handler)
        unreadable(id, handler, 'run')
        failed = failed + 1
    elseif not find(run, '^[RE]') then
        unlease[#unlease + 1] = id
    else
        local h = header_at(run)
        local handler = handler_at(run, h)
        local crashes = sub(run, 67, 67) + 1
        bump('crashes', 1)
        if call('EXISTS', J .. id) == 0 then
            leave_lease(id, run, handler)
            unlink({ id })
        elseif sub(run, 1, 1) == 'E' then
            end_cancelled(id, run, h, handler, retention)
            failed = failed + 1
        elseif crashes < CRASHES_MAX then
            give_back(id, run, h, handler, crashes, mode)
            requeued = requeued + 1
        else
            local err = 'worker lost ' .. CRASHES_MAX .. ' times'
            if is_periodic(run, h) then
                end_periodic(id, run, h, handler, NO_COUNTER, err, '',
                             retention)
                bump('failed', 1)
            else
                to_dead(id, run, handler, NO_COUNTER,
                        tonumber(sub(run, 63, 65)), crashes, err,
                        dead_retention)
            end
            failed = failed + 1
        end
    end
end
local clock_more = false
--@include clock
flush(mode, dead_max)

local workers, gone = call('HGETALL', P .. 'workers'), {}
for i = 1, #workers, 2 do
    if tonumber(sub(workers[i + 1], 1, 13)) <= now - GONE_MS then
        gone[#gone + 1] = workers[i]
    end
end
bulk('HDEL', P .. 'workers', gone)
call('ZREMRANGEBYSCORE', P .. 'served', '-inf', now - GONE_MS)

more = (more or clock_more or sweep_ids >= SWEEP_MAX) and 1 or 0
return { now, requeued, failed, swept, more }

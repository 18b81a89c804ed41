-- tell: a job that is cancelled or deleted, wherever it is.

--@include base
--@include now

-- One that waits: it leaves `scheduled`; in a lane its id stays.
local function wait_no_more(id, handler)
    if call('ZREM', P .. 'scheduled', id) == 1 then
        call('HINCRBY', P .. 'stats', 'sch:' .. handler, -1)
    end
    call('HINCRBY', P .. 'stats', 'back:' .. handler, -1)
end

-- One that runs: its worker looks at its leases.
local function tell_worker(id, run)
    local key = P .. 'w:' .. sub(run, TQ_RUN_WORKER) .. ':wake'
    call('ZADD', key, now, id)
    call('EXPIRE', key, 60)
end

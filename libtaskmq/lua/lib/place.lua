-- place: taking one job out of where it is.

-- Takes a job that has not run out of the scheduled or a ready set. True when
-- it was there.
local function unwait(id, handler)
    if call('ZREM', P .. 'scheduled', id) == 1 then
        call('HINCRBY', P .. 'stats', 'sch:' .. handler, -1)
        return true
    end
    return call('ZREM', ready_key(handler, 'p'), id) == 1
           or call('ZREM', ready_key(handler, 'f'), id) == 1
           or call('ZREM', ready_key(handler, 'l'), id) == 1
end

-- Tells the worker that runs a job to look at its leases.
local function tell_worker(id, run)
    local key = P .. 'w:' .. sub(run, 14, 29) .. ':wake'
    call('ZADD', key, now, id)
    call('EXPIRE', key, 60)
end

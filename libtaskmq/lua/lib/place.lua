-- place: taking one job out of where it is.

-- Takes a job that has not run out of the scheduled or a ready set. fresh: it
-- has no run record; what is fresh and in no set is in a lane, where it counts
-- no more once it has a run, or no record. True when it was there.
local function unwait(id, handler, fresh)
    local stats = P .. 'stats'
    if call('ZREM', P .. 'scheduled', id) == 1 then
        call('HINCRBY', stats, 'sch:' .. handler, -1)
    elseif call('ZREM', ready_key(handler, 'p'), id) == 0
           and call('ZREM', ready_key(handler, 'f'), id) == 0
           and call('ZREM', ready_key(handler, 'l'), id) == 0
    then
        if not fresh or call('ZSCORE', P .. 'leased', id) then
            -- its run was evicted, where it is fresh
            return false
        end
        call('HINCRBY', stats, 'stale:' .. handler, 1)
        call('HINCRBY', P .. 'config', 'stale', 1)
    end
    call('HINCRBY', stats, 'back:' .. handler, -1)
    return true
end

-- Tells the worker that runs a job to look at its leases.
local function tell_worker(id, run)
    local key = P .. 'w:' .. sub(run, 14, 29) .. ':wake'
    call('ZADD', key, now, id)
    call('EXPIRE', key, 60)
end

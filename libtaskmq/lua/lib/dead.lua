-- dead: jobs that failed for good.

--@include base
--@include now
--@include run
--@include batch
--@include unlink
--@include bytes

local keep = call('HMGET', P .. 'config', 'dead_retention_s', 'dead_max')

-- The job failed for good.
local function to_dead(id, run, h, counter, attempts, crashes, err)
    local handler = handler_at(run, h)
    run_over(sub(run, TQ_RUN_TOKEN), handler)
    add(sets, R .. id, rewrite(run, 'F', counter, attempts, crashes, now13,
                               err))
    add(dead, now + (keep[1] or TQ_DEAD_RETENTION_S) * 1000, id)
    bump('dead:' .. handler, 1)
    bump('failed', 1)
end

-- After flush: drops the dead jobs that would go first, when there are too
-- many. Bounded: after dead_max was lowered it takes several calls.
local function trim_dead()
    local over = call('ZCARD', P .. 'dead') - (keep[2] or TQ_DEAD_MAX)
    if over <= 0 then
        return
    end
    local got = call('ZPOPMIN', P .. 'dead', min(over, max(#dead, 200)))
    local ids = {}
    for i = 1, #got, 2 do
        ids[#ids + 1] = got[i]
    end
    count_dead_out(ids)
    unlink(ids)
    unweigh(ids)
    call('HINCRBY', P .. 'stats', 'dead_dropped', #ids)
end

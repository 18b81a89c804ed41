-- dead: jobs that failed for good.

--@include base now run batch

local keep = call('HGET', P .. 'config', 'dead_retention_s')
             or TQ_DEAD_RETENTION_S

-- The job failed for good. new: see rewrite.
local function to_dead(id, run, h, new)
    local handler = handler_at(run, h)
    run_over(sub(run, TQ_RUN_TOKEN), handler)
    new.state, new.finished = 'F', now13
    add(sets, R .. id, rewrite(run, new))
    add(dead, now + keep * 1000, id)
    bump('dead:' .. handler, 1)
    bump('failed', 1)
end

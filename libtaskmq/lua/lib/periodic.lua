-- periodic: how a run of a periodic job ends.

--@include base
--@include now
--@include run
--@include batch
--@include cancelled

-- The first multiple of the interval after now, counted from the time the job
-- was first asked to run. Before that only where the clock was set back.
local function next_due(run, h)
    local step = option(run, h, 'i') * 1000
    local base = option(run, h, 's')
                 or tonumber(sub(run, h + TQ_JOB_CREATED_FIRST,
                                 h + TQ_JOB_CREATED_LAST))
    return base + (floor((now - base) / step) + 1) * step
end

-- A periodic job's run is over (well or badly): its next one, or, when it was
-- cancelled while running, its end.
local function end_periodic(id, run, h, counter, err, result)
    local runs, handler = sub(run, TQ_RUN_RUNS) + 1, handler_at(run, h)
    local last = sub(run, TQ_RUN_STATE) == 'E'
    run_over(sub(run, TQ_RUN_TOKEN), handler)
    add(sets, R .. id, rewrite(run, last and 'C' or 'W', counter, 0, 0, now13,
                               err, result, runs))
    if last then
        to_finished(id, run, h)
        bump('cancelled', 1)
    else
        to_sched(id, next_due(run, h), handler)
    end
end

-- interval: when a periodic job runs next.

--@include base now header

-- The first multiple of the interval after now, counted from the time the job
-- was first asked to run. Before that only where the clock was set back.
local function next_due(run, h)
    local step = option(run, h, 'i') * 1000
    local base = option(run, h, 's')
                 or tonumber(sub(run, h + TQ_JOB_CREATED_FIRST,
                                 h + TQ_JOB_CREATED_LAST))
    return base + (floor((now - base) / step) + 1) * step
end

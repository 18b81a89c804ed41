-- back: jobs that are given back.

--@include base
--@include run
--@include batch
--@include cancelled

-- Unrun, it is the next one of its lane; one that was cancelled meanwhile ends.
-- Returns whether it waits again.
local function give_back(id, run, crashes)
    local h = header_at(run)
    if sub(run, TQ_RUN_STATE) == 'E' then
        end_cancelled(id, run, h)
        return false
    end
    local handler = handler_at(run, h)
    run_over(sub(run, TQ_RUN_TOKEN), handler)
    add(sets, R .. id, take_back(run, 'W', crashes, NO_TIME, error_of(run)))
    to_be_next(id, handler, priority_at(run, h))
    return true
end

-- ended: what is told of a job that does not run under this token.

--@include base

-- 1 it ended well under it, or was cancelled; 2 it is another's; 3 it is gone.
local function ended_before(id, run, token)
    if not run then
        return call('EXISTS', J .. id) == 1 and 2 or 3
    end
    local state = sub(run, TQ_RUN_STATE)
    local h = find(run, '\n', TQ_RUN_NAME_FIRST, true) or #run
    local ended = state == 'S' or state == 'C'
                  or state == 'W'
                     and sub(run, h + TQ_JOB_KIND_FIRST,
                             h + TQ_JOB_KIND_LAST) == 'p'
    return sub(run, TQ_RUN_TOKEN) == token and ended and 1 or 2
end

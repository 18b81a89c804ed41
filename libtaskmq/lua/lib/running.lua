-- running: the jobs under a lease.

--@include base header

-- Its jobs that still run, and those whose run is damaged: a list of id, run,
-- id, run ...
local function running(token)
    local jobs, n = {}, 0
    for id in string.gmatch(call('GET', P .. 't:' .. token) or '', ' (%d+)') do
        local run = call('GET', R .. id)
        if run and (not is_run(run) or sub(run, TQ_RUN_TOKEN) == token
                    and find(run, '^[RE]', TQ_RUN_STATE_FIRST))
        then
            jobs[n + 1], jobs[n + 2] = id, run
            n = n + 2
        end
    end
    return jobs
end

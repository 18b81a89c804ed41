-- cancelled: a job's end by cancel, and what every end but a death needs.

--@include base now run batch

local retention = call('HGET', P .. 'config', 'retention_s')
                  or TQ_RETENTION_DEFAULT_S

local function to_finished(id, run, h)
    add(fin, now + (option(run, h, 'k') or retention) * 1000, id)
end

-- A cancelled job that waits, or whose last run did not come to an end.
local function end_cancelled(id, run, h)
    if sub(run, TQ_RUN_STATE) ~= 'W' then
        run_over(sub(run, TQ_RUN_TOKEN), handler_at(run, h))
    end
    add(sets, R .. id, rewrite(run, { state = 'C', finished = now13 }))
    to_finished(id, run, h)
    bump('cancelled', 1)
end

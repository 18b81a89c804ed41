-- periodic: how a run of a periodic job ends.

--@include base now run batch cancelled interval

-- It ended well, or badly: its next one, or, when it was cancelled while
-- running, its end. new: see rewrite.
local function end_periodic(id, run, h, new)
    local handler, last = handler_at(run, h), sub(run, TQ_RUN_STATE) == 'E'
    run_over(sub(run, TQ_RUN_TOKEN), handler)
    new.state, new.finished = last and 'C' or 'W', now13
    new.attempts, new.crashes, new.runs = 0, 0, sub(run, TQ_RUN_RUNS) + 1
    add(sets, R .. id, rewrite(run, new))
    if last then
        to_finished(id, run, h)
        bump('cancelled', 1)
    else
        to_sched(id, next_due(run, h), handler)
    end
end

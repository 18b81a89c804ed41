-- run: a run with other fields.

--@include base header

local NO_COUNTER, NO_TIME = '000000000000', '0000000000000'

-- The error text it holds.
local function error_of(run)
    local e = find(run, '\n', header_at(run) + 1, true)
    return sub(run, e + 1, e + tonumber(sub(run, TQ_RUN_ERROR_LEN)))
end

-- The run with its state and whatever else is new: attempts, crashes, runs and
-- err are else what they were, finished and counter none (only what its own
-- complete or fail ended keeps its token's counter, so that the same call,
-- repeated, can be told from a stale one), result empty.
local function rewrite(run, new)
    local err = new.err or error_of(run)
    return '1' .. new.state .. (new.finished or NO_TIME) .. ' '
           .. (new.counter or NO_COUNTER)
           .. sub(run, TQ_RUN_WORKER_FIRST, TQ_RUN_ATTEMPTS_FIRST - 1)
           .. fmt('%03d %d %010.0f %05d ',
                  new.attempts or sub(run, TQ_RUN_ATTEMPTS),
                  new.crashes or sub(run, TQ_RUN_CRASHES),
                  new.runs or sub(run, TQ_RUN_RUNS), #err)
           .. sub(run, TQ_RUN_NAME_FIRST,
                  find(run, '\n', header_at(run) + 1, true))
           .. err .. (new.result or '')
end

local function is_periodic(run, h)
    return kind_at(run, h) == 'p'
end

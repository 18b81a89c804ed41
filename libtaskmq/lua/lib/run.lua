-- run: a run with other fields. Only one that its own complete or fail ended
-- keeps its token's counter, so that the same call, repeated, can be told from a
-- stale one.

--@include base
--@include header

local NO_COUNTER, NO_TIME = '000000000000', '0000000000000'

-- The run with other fields. counter: the one it has, or NO_COUNTER; result:
-- none; runs: what it has.
local function rewrite(run, state, counter, attempts, crashes, finished, err,
                       result, runs)
    local h = header_at(run)
    return '1' .. state .. finished .. ' ' .. counter
           .. sub(run, TQ_RUN_WORKER_FIRST, TQ_RUN_ATTEMPTS_FIRST - 1)
           .. fmt('%03d %d %010.0f %05d ', attempts, crashes,
                  runs or tonumber(sub(run, TQ_RUN_RUNS)), #err)
           .. sub(run, TQ_RUN_NAME_FIRST, find(run, '\n', h + 1, true))
           .. err .. (result or '')
end

-- The same with another state and its lease taken back.
local function take_back(run, state, crashes, finished, err)
    return rewrite(run, state, NO_COUNTER,
                   tonumber(sub(run, TQ_RUN_ATTEMPTS)), crashes, finished, err)
end

-- The error text it holds.
local function error_of(run)
    local e = find(run, '\n', header_at(run) + 1, true)
    return sub(run, e + 1, e + tonumber(sub(run, TQ_RUN_ERROR_LEN)))
end

local function crashes_of(run)
    return tonumber(sub(run, TQ_RUN_CRASHES))
end

local function is_periodic(run, h)
    return kind_at(run, h) == 'p'
end

-- sound: whether a record, or a run, is one. Damaged ones are left alone; claim
-- and reap end their jobs (see unreadable).

--@include base
--@include header

-- The header line at h.
local function is_header(s, h)
    return find(s, '^1[-op] %d%d%d [fen] [td%d][-%d][-%d] %d+ [%w_.-]+[ \n]',
                h + 1)
           and find(s, '\n', h + TQ_JOB_HANDLER_FIRST, true)
end

local function is_run(run)
    local a, b, h = match(run, '^1[WRESFC]%d+ %x+ %d+ ()%d%d%d %d %d+ ()'
                               .. '%d%d%d%d%d [^\n]*()\n')
    return a == TQ_RUN_ATTEMPTS_FIRST and b == TQ_RUN_ERROR_LEN_FIRST
           and is_header(run, h)
end

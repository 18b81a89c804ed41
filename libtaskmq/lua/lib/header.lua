-- header: a job's header line, in its record (where h, what stands before it,
-- is 0) or in its run (h: up to the end of the worker's name). Damaged ones are
-- left alone; claim and reap end their jobs (see unreadable).
--@include now

-- h of a run.
local function header_at(run)
    return find(run, '\n', TQ_RUN_NAME_FIRST, true)
end

-- The handler's name; "?" where that cannot be read.
local function handler_at(s, h)
    return match(s, '^[%w_.-]+', h + TQ_JOB_HANDLER_FIRST) or '?'
end

local function priority_at(s, h)
    return sub(s, h + TQ_JOB_PRIORITY_FIRST, h + TQ_JOB_PRIORITY_LAST)
end

local function kind_at(s, h)
    return sub(s, h + TQ_JOB_KIND_FIRST, h + TQ_JOB_KIND_LAST)
end

-- The number of option k (one letter), or nil.
local function option(s, h, k)
    local line = match(s, '[^\n]*', h + TQ_JOB_HANDLER_FIRST)
    return tonumber(match(line, ' ' .. k .. '=(-?%d+)'))
end

-- When a periodic job runs next: the first multiple of its interval after now,
-- from its first time on; before that only where the clock was set back.
local function next_due(s, h)
    local step = option(s, h, 'i') * 1000
    local base = option(s, h, 's')
                 or sub(s, h + TQ_JOB_CREATED_FIRST, h + TQ_JOB_CREATED_LAST)
    return base + (floor((now - base) / step) + 1) * step
end

-- Whether the header line at h is sound.
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

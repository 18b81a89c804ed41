-- header: a job's header line, in its record (where h, what stands before it,
-- is 0) or in its run (h: up to the end of the worker's name).

--@include base

-- h of a run.
local function header_at(run)
    return find(run, '\n', TQ_RUN_NAME_FIRST, true)
end

-- The handler's name; "?" where that cannot be read.
local function handler_at(s, h)
    return match(s, '^[%w_.-]+', h + TQ_JOB_HANDLER_FIRST) or '?'
end

-- The handler of a job that is stored, though its record may be damaged: a run
-- has a copy. '?' where nothing tells it.
local function handler_of(id, record)
    local run = call('GETRANGE', R .. id, 0, 255)
    local h = header_at(run)
    return h and handler_at(run, h) or handler_at(record, 0) or '?'
end

local function priority_at(s, h)
    return sub(s, h + TQ_JOB_PRIORITY_FIRST, h + TQ_JOB_PRIORITY_LAST)
end

local function kind_at(s, h)
    return sub(s, h + TQ_JOB_KIND_FIRST, h + TQ_JOB_KIND_LAST)
end

-- The number of option k (one letter), or nil.
local function option(s, h, k)
    if kind_at(s, h) == '-' then
        return nil
    end
    local e = find(s, '\n', h + TQ_JOB_HANDLER_FIRST, true)
    return tonumber(match(sub(s, h + TQ_JOB_HANDLER_FIRST, e),
                          ' ' .. k .. '=(-?%d+)'))
end

-- header: the job's header line, in the record (it starts at 1) or in the run
-- (after the worker's name).

-- Whether a record, or from h on a run's copy of its first line, is one.
local function is_header(s, h)
    return find(s, '^1[-op] %d%d%d [fen] [td%d][-%d][-%d] %d+ [%w_.-]+[ \n]', h)
           and find(s, '\n', h + 27, true)
end

-- Whether a run is one. Damaged ones, and those of other versions, are left
-- alone; reap and claim end their jobs (see unreadable).
local function is_run(run)
    local a, b, h = match(run, '^[ +]%d+ [-%d]%d+ ()%d%d%d %d %d+ %d+ ()'
                               .. '%d%d%d%d%d [^\n]*\n()', 30)
    return a == 63 and b == 94 and find(run, '^[WRESFC]') and is_header(run, h)
end

-- Where the header starts in a run.
local function header_at(run)
    return (find(run, '\n', 100, true) or #run) + 1
end

-- handler, and where its name ends
local function handler_at(s, h)
    local e = find(s, '[ \n]', h + 27) or #s + 1
    return sub(s, h + 27, e - 1), e
end

-- The value of option k (one letter) of the header at h, or nil.
local function option(s, h, k)
    if sub(s, h + 1, h + 1) == '-' then
        return nil
    end
    local e = find(s, '\n', h + 27, true)
    return tonumber(match(sub(s, h + 27, e), ' ' .. k .. '=(%d+)'))
end

-- The handler of a stored job, from its run or else its record; nil: neither.
local function handler_of(id)
    local run = call('GETRANGE', R .. id, 0, 299)
    if run ~= '' then
        return (handler_at(run, header_at(run)))
    end
    local record = call('GETRANGE', J .. id, 0, 95)
    if record ~= '' then
        return (handler_at(record, 1))
    end
end

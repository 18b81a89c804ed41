-- header: the job's header line, in the record (it starts at 1) or in the run
-- (after the worker's name).

-- Where the header starts in a run.
local function header_at(run)
    return find(run, '\n', 100, true) + 1
end

-- handler, and where its name ends
local function handler_at(s, h)
    local e = find(s, '[ \n]', h + 27)
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

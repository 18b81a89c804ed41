-- bad: arguments that do not add up: a bug of the caller, never a job's.

local function bad(what)
    return redis.error_reply('ERR TASKMQ ' .. what)
end

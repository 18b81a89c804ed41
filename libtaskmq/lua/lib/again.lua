-- again: jobs that come again: they were due, or are retried.

--@include base pack

-- Adds one. Its place is after that of the newest job, before that of the next.
local function add_again(lanes, handler, priority, id)
    add_pack(lanes, handler, priority, id .. ' 1 ' .. seq .. '.5')
end

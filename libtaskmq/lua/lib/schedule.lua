-- schedule: jobs that are due later.
--@include now

-- jobs: { due ms, id, handler } each, counted in sch: here. Wakes a handler
-- whose job is due before all others, or sooner than a worker looks again.
local function schedule(jobs)
    local first = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0',
                                'WITHSCORES')[2])
    for _, job in ipairs(jobs) do
        local due, id, handler = job[1], job[2], job[3]
        call('ZADD', P .. 'scheduled', due, id)
        call('HINCRBY', P .. 'stats', 'sch:' .. handler, '1')
        if not first or due < first or due < now + TQ_WAKE_MAX_MS then
            call('ZADD', P .. 'h:' .. handler .. ':wake', '0', 'w')
        end
    end
end

-- bytes: what finished and dead jobs take, where `finished_max_bytes` is set:
-- the hash `bytes` says it of each, the counter finished_bytes of all.

-- list: scores and members that were added, or, from 1 on, members and scores.
-- Returns how many jobs were weighed; one that was before is not counted again.
local function weigh(list, from)
    local most = #list > 0 and call('HGET', P .. 'config', 'finished_max_bytes')
    if (most or '0') == '0' then
        return 0
    end
    local sizes, weighed, sum = P .. 'bytes', 0, 0
    for i = from or 2, #list, 2 do
        for id in string.gmatch(list[i], '%d+') do
            local n = call('STRLEN', J .. id) + call('STRLEN', R .. id)
                      + call('STRLEN', P .. 'l:' .. id)
                      + (tonumber(redis.pcall('STRLEN', P .. 'b:' .. id)) or 0)
            weighed = weighed + 1
            if n > 0 then
                sum = sum + n + TQ_JOB_BYTES - (call('HGET', sizes, id) or 0)
                call('HSET', sizes, id, n + TQ_JOB_BYTES)
            end
        end
    end
    call('HINCRBY', P .. 'stats', 'finished_bytes', sum)
    return weighed
end

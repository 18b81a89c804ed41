-- bytes: what finished and dead jobs take, where `finished_max_bytes` is set:
-- the hash `bytes` says it of each member of `finished` and `dead`, the counter
-- finished_bytes of all.

--@include base

-- list: scores and members that were added.
local function weigh(list)
    local sum = 0
    for i = 2, #list, 2 do
        local n = 0
        for id in string.gmatch(list[i], '%d+') do
            n = n + TQ_JOB_BYTES + call('STRLEN', J .. id)
                + call('STRLEN', R .. id) + call('STRLEN', P .. 'l:' .. id)
                + call('STRLEN', P .. 'b:' .. id)
        end
        sum = sum + n
        call('HINCRBY', P .. 'bytes', list[i], n)
    end
    call('HINCRBY', P .. 'stats', 'finished_bytes', sum)
end

-- Whether that is done at all.
local function is_weighed()
    return (call('HGET', P .. 'config', 'finished_max_bytes') or '0') ~= '0'
end

-- Members that are gone: at most 1,000.
local function unweigh(members)
    local sum, got = 0, #members > 0 and call('HMGET', P .. 'bytes',
                                              unpack(members)) or {}
    for i = 1, #got do
        sum = sum + (got[i] or 0)
    end
    if sum > 0 then
        call('HDEL', P .. 'bytes', unpack(members))
        call('HINCRBY', P .. 'stats', 'finished_bytes', -sum)
    end
end

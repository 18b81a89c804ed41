-- unlink: jobs go.
--@include header

-- Dead jobs are counted by their runs: their records may be damaged.
local function count_dead_out(ids)
    for _, id in ipairs(ids) do
        local run = call('GETRANGE', R .. id, 0, 399)
        if sub(run, TQ_RUN_STATE) == 'F' then
            call('HINCRBY', P .. 'stats', 'dead:'
                 .. handler_at(run, header_at(run) or #run), '-1')
        end
    end
end

-- What these jobs took is free; see lib/bytes.lua.
local function unweigh(ids)
    local sum = 0
    for _, n in ipairs(call('HMGET', P .. 'bytes', unpack(ids))) do
        sum = sum + (n or 0)
    end
    if sum > 0 then
        call('HDEL', P .. 'bytes', unpack(ids))
        call('HINCRBY', P .. 'stats', 'finished_bytes', -sum)
    end
end

-- Returns how many of these jobs, at most CHUNK / 3, were there. Without its run
-- a job would wait: the records go first.
local function unlink(ids)
    local records, others = {}, {}
    for i, id in ipairs(ids) do
        records[i] = J .. id
        others[3 * i - 2], others[3 * i - 1] = R .. id, P .. 'l:' .. id
        others[3 * i] = P .. 'b:' .. id
    end
    if #ids == 0 then
        return 0
    end
    unweigh(ids)
    local there = call('UNLINK', unpack(records))
    call('UNLINK', unpack(others))
    return there
end

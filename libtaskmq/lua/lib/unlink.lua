-- unlink: jobs go.

--@include base bulk header

-- Dead jobs are counted by their runs: their records may be damaged.
local function count_dead_out(ids)
    for i = 1, #ids do
        local run = call('GETRANGE', R .. ids[i], 0, 399)
        if run ~= '' then
            call('HINCRBY', P .. 'stats', 'dead:'
                 .. handler_at(run, header_at(run) or #run), '-1')
        end
    end
end

-- What these jobs, at most CHUNK, took is free; see lib/bytes.lua.
local function unweigh(ids)
    local sum, got = 0, #ids > 0 and call('HMGET', P .. 'bytes', unpack(ids)) or {}
    for i = 1, #got do
        sum = sum + (got[i] or 0)
    end
    if sum > 0 then
        call('HDEL', P .. 'bytes', unpack(ids))
        call('HINCRBY', P .. 'stats', 'finished_bytes', -sum)
    end
end

-- Returns how many of these jobs, at most CHUNK, were there. Without its run a
-- job would wait: the records go first.
local function unlink(ids)
    local records, others = {}, {}
    for i, id in ipairs(ids) do
        records[i] = J .. id
        for _, kind in ipairs({ 'r:', 'l:', 'b:' }) do
            others[#others + 1] = P .. kind .. id
        end
    end
    unweigh(ids)
    local there = bulk(records, 'UNLINK') or 0
    bulk(others, 'UNLINK')
    return there
end

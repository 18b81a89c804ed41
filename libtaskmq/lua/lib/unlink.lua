-- unlink: a job's keys go.

--@include base
--@include header

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

-- Returns how many of these jobs were there.
local function unlink(ids)
    local there = 0
    for from = 1, #ids, 1000 do
        local records, others = {}, {}
        for i = from, min(from + 999, #ids) do
            local id, n = ids[i], #others
            records[#records + 1] = J .. id
            others[n + 1], others[n + 2] = R .. id, P .. 'l:' .. id
            others[n + 3] = P .. 'b:' .. id
        end
        there = there + call('UNLINK', unpack(records))
        call('UNLINK', unpack(others))
    end
    return there
end

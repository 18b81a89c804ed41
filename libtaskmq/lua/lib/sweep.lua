-- sweep: removes expired jobs, dead ones first, with their keys and counters:
-- sweep_limit (<= 1000) ids in all, or more by the rest of a pack. Where all
-- have more than max_bytes (nil: not bounded), also those that would go next:
-- finished ones, then dead ones. Sets `swept`, how many of them were still
-- there, and `sweep_ids`, how many it had.
-- No functions: see claim.

-- Members read at once: of finished each may be a pack of a hundred.
local SWEEP_READ = '8'

local swept, sweep_ids = 0, 0
local places, over = { 'dead', 'finished' }, 0
if max_bytes then
    places = { 'dead', 'finished', 'finished', 'dead' }
end
for pass, name in ipairs(places) do
    local ids, n, got = {}, 0, nil
    if pass == 3 and tonumber(max_bytes) > 0 then
        over = call('HGET', P .. 'stats', 'finished_bytes') or 0
        over = over - max_bytes
    end
    repeat
        got = call('ZRANGEBYSCORE', P .. name, '-inf',
                   pass > 2 and '+inf' or now13, 'LIMIT', '0', SWEEP_READ)
        local taken, sizes = 0, nil
        if max_bytes and #got > 0 then
            sizes = call('HMGET', P .. 'bytes', unpack(got))
        end
        for i = 1, #got do
            local member = got[i]
            if sweep_ids + n >= sweep_limit or pass > 2 and over <= 0 then
                break
            end
            if sizes and sizes[i] then
                over = over - sizes[i]
                call('HDEL', P .. 'bytes', member)
                call('HINCRBY', P .. 'stats', 'finished_bytes', -sizes[i])
            end
            if find(member, ' ', 1, true) then
                for id in string.gmatch(member, '%d+') do
                    n = n + 1
                    ids[n] = id
                end
            else
                n = n + 1
                ids[n] = member
            end
            taken = i
        end
        if taken > 0 then
            call('ZREM', P .. name, unpack(got, 1, taken))
        end
    until taken < tonumber(SWEEP_READ)
    if n > 0 then
        local runs, others, left = {}, {}, {}
        for i = 1, n do
            local id, k = ids[i], 2 * i
            runs[i] = R .. id
            others[k - 1], others[k] = J .. id, P .. 'l:' .. id
            if name == 'dead' then
                local run = call('GETRANGE', runs[i], 0, 299)
                if run ~= '' then
                    local h = find(run, '\n', 100, true) or #run
                    local handler = match(run, '^[^ \n]+', h + 28) or '?'
                    left[handler] = (left[handler] or 0) + 1
                end
            end
        end
        -- Of a pack some may have been deleted before.
        local there = call('UNLINK', unpack(runs))
        call('UNLINK', unpack(others))
        if name == 'finished' and there > 0 then
            call('HINCRBY', P .. 'stats', 'finished_gone', there)
        end
        for handler, k in pairs(left) do
            call('HINCRBY', P .. 'stats', 'dead:' .. handler, -k)
        end
        if pass > 2 then
            call('HINCRBY', P .. 'stats',
                 pass == 3 and 'finished_dropped' or 'dead_dropped', there)
        end
        swept, sweep_ids = swept + there, sweep_ids + n
    end
end

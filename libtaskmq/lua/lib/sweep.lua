-- sweep: removes expired jobs, dead ones first, at most sweep_limit (<= 1000)
-- in all, with their keys and counters. Sets `swept`. No functions: see claim.

local swept = 0
for _, name in ipairs({ 'dead', 'finished' }) do
    local ids = call('ZRANGEBYSCORE', P .. name, '-inf', now13, 'LIMIT', '0',
                     sweep_limit - swept)
    if #ids > 0 then
        local keys, left = {}, {}
        for i = 1, #ids do
            local id, k = ids[i], 3 * i
            keys[k - 2], keys[k - 1], keys[k] = J .. id, R .. id,
                                                P .. 'l:' .. id
            if name == 'dead' then
                local run = call('GETRANGE', R .. id, 0, 299)
                if run ~= '' then
                    local handler = match(run, '^[^ \n]+',
                                          find(run, '\n', 100, true) + 28)
                    left[handler] = (left[handler] or 0) + 1
                end
            end
        end
        call('ZREM', P .. name, unpack(ids))
        call('UNLINK', unpack(keys))
        for handler, k in pairs(left) do
            call('HINCRBY', P .. 'stats', 'dead:' .. handler, -k)
        end
        swept = swept + #ids
    end
end

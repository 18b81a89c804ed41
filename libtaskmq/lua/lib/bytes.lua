-- bytes: what finished and dead jobs take, where `finished_max_bytes` is set:
-- the hash `bytes` says it of each member of `finished` and `dead`, the counter
-- finished_bytes of all.

--@include base

-- list: scores and members that were added.
local function weigh(list)
    if #list == 0 or (call('HGET', P .. 'config', 'finished_max_bytes')
                      or '0') == '0'
    then
        return
    end
    local sum = 0
    for i = 2, #list, 2 do
        local n = 0
        for id in string.gmatch(list[i], '%d+') do
            n = n + TQ_JOB_BYTES
            for _, kind in ipairs({ 'j:', 'r:', 'l:', 'b:' }) do
                n = n + call('STRLEN', P .. kind .. id)
            end
        end
        sum = sum + n
        call('HINCRBY', P .. 'bytes', list[i], n)
    end
    call('HINCRBY', P .. 'stats', 'finished_bytes', sum)
end

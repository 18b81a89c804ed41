-- unreadable: ends a waiting or leased job that cannot be read, because its
-- record or its run is damaged: it fails, once, with that reason.
--@include now

-- The caller counts it out; handler: as far as known; what: "record", "last run".
local function unreadable(id, handler, what)
    local kept = call('HGET', P .. 'config', 'dead_retention_s')
                 or TQ_DEAD_RETENTION_S
    local err = "the job's " .. what .. ' in Redis cannot be read: it is '
                .. 'damaged, or of another version of TaskMQ'
    call('ZADD', P .. 'dead', fmt('%d', now + kept * 1000), id)
    call('SET', R .. id,
         '1F' .. now13 .. ' 0000000000000000000000000000 0000000000000 000 0 '
         .. '0000000000' .. fmt(' %05d \n1- 000 n 000 ', #err) .. now13 .. ' '
         .. handler .. '\n' .. err)
    call('HINCRBY', P .. 'stats', 'dead:' .. handler, '1')
    call('HINCRBY', P .. 'stats', 'failed', '1')
end

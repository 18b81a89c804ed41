-- clock: Redis' clock was set back: what was to come within some time would come
-- later by the difference.

--@include base
--@include now
--@include run
--@include periodic

-- The time of the last reap is in `clock`, and while the scheduled jobs are
-- looked through, some per call, also how far that is. Returns whether there is
-- more to look at.
local function mend_clock()
    -- No lease is longer.
    local latest = fmt('%d', now + TQ_LEASE_MAX_MS)
    local long = call('ZRANGEBYSCORE', P .. 'leased', '(' .. latest, '+inf',
                      'LIMIT', 0, TQ_CLOCK_MAX)
    for i = 1, #long do
        call('ZADD', P .. 'leased', latest, long[i])
    end

    local was, cursor = match(call('GET', P .. 'clock') or '0',
                              '^(%d+) ?(%d*)$')
    if cursor == '' and now >= was - TQ_CLOCK_BACK_MS then
        call('SET', P .. 'clock', now13)
        return false
    end
    local got = call('ZSCAN', P .. 'scheduled', cursor == '' and 0 or cursor,
                     'COUNT', TQ_CLOCK_MAX)
    for i = 1, #got[2], 2 do
        local id, due = got[2][i], tonumber(got[2][i + 1])
        local run = due > now and call('GETRANGE', R .. id, 0, 399) or ''
        if run ~= '' then
            -- A job's first time is what was asked for, whatever the clock.
            local h = header_at(run)
            local late = now + (call('HGET', P .. 'config', 'retry_wait_max_ms')
                                or TQ_RETRY_WAIT_MAX_MS)
            if is_periodic(run, h) and sub(run, TQ_RUN_ATTEMPTS) == '000' then
                late = next_due(run, h)
            end
            if late < due then
                call('ZADD', P .. 'scheduled', fmt('%d', late), id)
                call('ZADD', P .. 'h:' .. handler_at(run, h) .. ':wake', '0',
                     'w')
            end
        end
    end
    call('SET', P .. 'clock', got[1] == '0' and now13 or was .. ' ' .. got[1])
    return got[1] ~= '0'
end

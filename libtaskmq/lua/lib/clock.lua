-- clock: Redis' clock was set back: what was to come within some time would
-- come later by the difference. `clock` is the time of the last reap, and while
-- the scheduled jobs are looked through, some per call, also how far that is. A
-- part of reap, before its flush.

-- No lease is longer.
local latest = fmt('%d', now + LEASE_MAX_MS)
local long = call('ZRANGEBYSCORE', P .. 'leased', '(' .. latest, '+inf',
                  'LIMIT', 0, CLOCK_MAX)
for i = 1, #long do
    call('ZADD', P .. 'leased', latest, long[i])
end

local was, cursor = match(call('GET', P .. 'clock') or '0', '^(%d+) ?(%d*)$')
local clock = now13
if cursor ~= '' or now < was - CLOCK_BACK_MS then
    local got = call('ZSCAN', P .. 'scheduled', cursor == '' and 0 or cursor,
                     'COUNT', CLOCK_MAX)
    for i = 1, #got[2], 2 do
        local id, due = got[2][i], tonumber(got[2][i + 1])
        local run = due > now and call('GETRANGE', R .. id, 0, 399) or ''
        if run ~= '' then
            -- A job's first time is what was asked for, whatever the clock.
            local h = header_at(run)
            local late = now + wait_max
            if is_periodic(run, h) and sub(run, 63, 65) == '000' then
                late = next_due(run, h)
            end
            if late < due then
                add(sched, late, id)
                if not due_min or late < due_min then
                    due_min, due_handler = late, handler_at(run, h)
                end
            end
        end
    end
    clock = got[1] == '0' and now13 or was .. ' ' .. got[1]
    clock_more = got[1] ~= '0'
end
call('SET', P .. 'clock', clock)

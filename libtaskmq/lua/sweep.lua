#!lua flags=allow-oom
-- sweep: removes jobs whose time is over, and those that would go next where
-- there are more than dead_max, or they take more than finished_max_bytes; and
-- workers that are gone. Sees to it that a clock that was set back delays no run
-- by more than its interval, or its longest wait. Heals some handlers.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  jobs removed, more (1: call again soon); integers
--@include now unlink

local swept, looked, more = 0, 0, 0
local config = call('HMGET', P .. 'config', 'finished_max_bytes',
                    'dead_max', 'retry_wait_max_ms', 'selection')
local most = tonumber(config[1] or 0)

-- Removes up to n members whose time is at most `last` ('+inf': dropped, before
-- it); with over until so many bytes less are taken. Returns what is still over.
local function sweep(set, last, n, over)
    local ids, gone, members = {}, {}, call(
        'ZRANGEBYSCORE', P .. set, '-inf', last, 'WITHSCORES', 'LIMIT', 0,
        over and over <= 0 and 0 or max(0, min(n, TQ_SWEEP_MAX)))
    for i = 1, #members, 2 do
        local member = members[i]
        if looked + #ids >= TQ_SWEEP_MAX or over and over <= 0 then
            break
        end
        for id, at in string.gmatch(member, '(%d+)()') do
            ids[#ids + 1] = id
            over = over and over - (call('HGET', P .. 'bytes', id) or 0)
            if over and over <= 0 and at < #member then
                call('ZADD', P .. set, members[i + 1], sub(member, at + 1))
                break
            end
        end
        gone[#gone + 1] = member
    end
    looked = looked + #ids
    more = looked >= TQ_SWEEP_MAX and 1 or more
    if set == 'dead' then
        count_dead_out(ids)
    end
    -- Some may have been deleted before.
    local there = unlink(ids)
    if gone[1] then
        call('ZREM', P .. set, unpack(gone))
    end
    swept = swept + there
    if set == 'finished' and there > 0 then
        call('HINCRBY', P .. 'stats', 'finished_gone', there)
    end
    if last == '+inf' and there > 0 then
        call('HINCRBY', P .. 'stats', set .. '_dropped', there)
    end
    return over
end

-- What ended before the setting was set, some per call; nothing is dropped before.
local weighing, at = match(call('HGET', P .. 'bytes', 'weighing')
                           or 'finished 0', '^(%l+) (%d+)$')
if most > 0 and weighing then
--@include bytes
    local n = 0
    repeat
        local got = call('ZSCAN', P .. weighing, at, 'COUNT', 10)
        n, at = n + 10 + weigh(got[2], 1), got[1]
        if at == '0' then
            weighing = weighing == 'finished' and 'dead'
        end
    until not weighing or n > TQ_SWEEP_MAX
    more = weighing and 1 or more
    call('HSET', P .. 'bytes', 'weighing',
         weighing and weighing .. ' ' .. at or 'done')
end
sweep('dead', now, TQ_SWEEP_MAX)
sweep('finished', now, TQ_SWEEP_MAX)
sweep('dead', '+inf', call('ZCARD', P .. 'dead') - (config[2] or TQ_DEAD_MAX))
-- What would go next: finished jobs, then dead ones.
local over = most > 0 and not weighing
             and (call('HGET', P .. 'stats', 'finished_bytes') or 0) - most or 0
over = sweep('finished', '+inf', TQ_SWEEP_MAX, over)
sweep('dead', '+inf', TQ_SWEEP_MAX, over)

local workers, since = call('HGETALL', P .. 'workers'), now - TQ_WORKER_GONE_MS
for i = 1, #workers, 2 do
    if (tonumber(sub(workers[i + 1], 1, 13)) or 0) <= since then
        call('HDEL', P .. 'workers', workers[i])
    end
end
call('ZREMRANGEBYSCORE', P .. 'served', '-inf', since)

-- The clock: no lease is longer than the longest that may be asked for.
local latest = fmt('%d', now + TQ_LEASE_MAX_MS)
for _, token in ipairs(call('ZRANGEBYSCORE', P .. 'leased', '(' .. latest,
                            '+inf', 'LIMIT', 0, TQ_CLOCK_MAX))
do
    call('ZADD', P .. 'leased', latest, token)
end
-- `clock`: the time of the last sweep, and how far the jobs are looked through.
local was, cursor = match(call('GET', P .. 'clock') or '0', '^(%d+) ?(%d*)$')
local mended = now13
if cursor ~= '' or now < was - TQ_CLOCK_BACK_MS then
    local got = call('ZSCAN', P .. 'scheduled', cursor == '' and 0 or cursor,
                     'COUNT', TQ_CLOCK_MAX)
    for i = 1, #got[2], 2 do
        local id, due = got[2][i], tonumber(got[2][i + 1])
        local run = due > now and call('GETRANGE', R .. id, 0, 399) or ''
        local h = header_at(run)
        -- A job's first time is what was asked for, whatever the clock.
        if h then
            local late = now + (config[3] or TQ_RETRY_WAIT_MAX_MS)
            if kind_at(run, h) == 'p' and sub(run, TQ_RUN_ATTEMPTS) == '000' then
                late = next_due(run, h)
            end
            if late < due then
                call('ZADD', P .. 'scheduled', fmt('%d', late), id)
                call('ZADD', P .. 'h:' .. handler_at(run, h) .. ':wake', '0',
                     'w')
            end
        end
    end
    if got[1] ~= '0' then
        more, mended = 1, was .. ' ' .. got[1]
    end
end
call('SET', P .. 'clock', mended)

--@include order counted served
-- Where it was set otherwise than by config_set.
set_order(match(config[4] or '', '^[fl]ifo$') or 'priority')

-- Heals what a script left that was stopped on its way: a lane that no claim looks
-- at, counts of what is not there. A key of another type is passed over. And of
-- many names those go under which no job is known, and which nobody serves.
local some = call('HRANDFIELD', P .. 'handlers', TQ_HEAL_MAX, 'WITHVALUES')
local many = call('HLEN', P .. 'handlers') > TQ_HANDLERS_KEPT
for i = 1, #some, 2 do
    local handler, prefix, lanes = some[i], P .. 'h:' .. some[i], {}
    for priority = 0, 100 do
        local lane = fmt('%03d', priority)
        if redis.pcall('LRANGE', prefix .. ':lane:' .. lane, 0, 0)[1] then
            lanes[#lanes + 1] = prefix .. ':lane:' .. lane
            if not redis.pcall('ZSCORE', prefix .. ':ready', lane) then
                to_ready(prefix, lane)
                redis.pcall('ZADD', prefix .. ':wake', '0', 'w')
            end
        end
    end
    local waiting, running, scheduled, dead = counted(handler, some[i + 1])
    local stray = call('EXISTS', P .. 'scheduled') == 0 and scheduled or 0
    for name, n in pairs({
        ['back:'] = #lanes == 0 and -waiting - stray or 0,
        ['left:'] = call('EXISTS', P .. 'leased') == 0 and running or 0,
        ['sch:'] = -stray,
        ['dead:'] = call('EXISTS', P .. 'dead') == 0 and -dead or 0
    }) do
        if n ~= 0 then
            call('HINCRBY', P .. 'stats', name .. handler, fmt('%d', n))
        end
    end
    if many and waiting == 0 and running == 0 and scheduled == 0 and dead == 0
       and not is_served(handler)
    then
        -- Its lanes may name jobs that were cancelled or deleted.
        call('UNLINK', prefix .. ':ready', prefix .. ':wake', unpack(lanes))
        call('HDEL', P .. 'stats', counters_of(handler))
        call('HDEL', P .. 'handlers', handler)
        more = 1
    end
end
return { swept, more }

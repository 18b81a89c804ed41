#!lua flags=allow-oom
-- claim: takes the best waiting jobs for a worker's free slots. First sweeps
-- expired jobs, moves jobs of another selection mode, promotes due ones.
--
-- KEYS[1]  prefix
-- ARGV     worker id (16 hex), worker name, lease ms, total (most jobs to
--          take), then pairs: handler, free slots (0: only puts the
--          handler's wake-up marker back when it has ready jobs)
-- Returns  now (ms, integer), earliest due time of a scheduled job (ms,
--          integer, 0: none), claim counter (12 hex; zeros when no job
--          follows), then per job: id (string), attempts (integer), record.
--          A lease token is the counter followed by the worker id.
-- Errors   "ERR TASKMQ ..." for arguments that do not add up


-- The hot path has no functions (a closure costs as much as a command); rarer
-- work has them in its own branch.

--@include base
--@include now

local CLAIM_MAX, PROMOTE_MAX, MOVE_MAX, SWEEP_MAX = 1000, 1000, 1000, 100
-- A reply stops growing here; the jobs after it go back.
local REPLY_BYTES, PER_GET = 16777216, 100
-- Packs read of a lane at first, then LANE_MORE times as many, up to LANE_MAX.
local LANE_FIRST, LANE_MORE, LANE_MAX = 2, 8, 1000
-- Free slots of a handler up to which members are popped.
local POP_MAX = 8
-- Candidates looked at, where some were cancelled or deleted in their lanes.
local LOOK_MAX = 5000
local WAITING = 87
local BAND, MID, HUGE = 70368744177664, 35184372088832, math.huge
local FIRST_RUN = ' 000 0 0000000000 0000000000000 00000 '
local AGAIN = '0000000000000 '


local worker, name = argv[1], argv[2]
local lease, total = tonumber(argv[3]), tonumber(argv[4])
if not lease or not total or #worker ~= 16 or #argv % 2 ~= 0 then
    return redis.error_reply('ERR TASKMQ claim: arguments')
end
total = min(total, CLAIM_MAX)
local nfree, sets = 0, {}
for i = 5, #argv, 2 do
    local free = tonumber(argv[i + 1])
    if not free then
        return redis.error_reply('ERR TASKMQ claim: free slots')
    end
    nfree = nfree + free
end

local config = call('HMGET', P .. 'config', 'selection', 'moving')
local mode = sub(config[1] or 'p', 1, 1)
local moving = config[2]
for i = 5, #argv, 2 do
    sets[i] = P .. 'h:' .. argv[i] .. ':ready:' .. mode
end

-- As many as are claimed, so that the sets of a steady queue do not grow.
local sweep_limit = max(SWEEP_MAX, total)
--@include sweep

if moving then
--@include order
--@include bulk
    -- The jobs of another mode's set get the same place in the new order. The
    -- asked handlers' first.
    local handlers, budget = {}, MOVE_MAX
    for i = 5, #argv, 2 do
        handlers[#handlers + 1] = argv[i]
    end
    local all = call('HKEYS', P .. 'handlers')
    for i = 1, #all do
        handlers[#handlers + 1] = all[i]
    end
    for _, handler in ipairs(handlers) do
        for _, from in ipairs({ 'p', 'f', 'l' }) do
            local got = {}
            if from ~= mode and budget > 0 then
                got = call('ZPOPMIN', ready_key(handler, from), budget)
            end
            local list = {}
            for i = 1, #got, 2 do
                local id, n = got[i], place_of(from, tonumber(got[i + 1]))
                local priority = mode == 'p' and call('GETRANGE', J .. id, 3, 5)
                                 or '0'
                if byte(id) > 57 then
                    -- a lane goes as a whole
                    priority = sub(id, 2)
                    n = lane_place(handler, id, mode)
                end
                if n and priority ~= '' then
                    list[#list + 1] = score_of(mode, tonumber(priority), n)
                    list[#list + 1] = id
                end
            end
            bulk('ZADD', ready_key(handler, mode), list)
            budget = budget - #got / 2
        end
    end
    if budget > 0 then
        call('HDEL', P .. 'config', 'moving')
        moving = false
    else
        -- The new order holds from the first job on: a handler with jobs that
        -- are not moved yet gives none.
        for i = 5, #argv, 2 do
            for _, from in ipairs({ 'p', 'f', 'l' }) do
                if from ~= mode
                   and call('EXISTS', ready_key(argv[i], from)) == 1
                then
                    nfree = nfree - tonumber(argv[i + 1])
                    argv[i + 1] = '0'
                end
            end
        end
    end
end

local due = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0', 'WITHSCORES')[2])
if due and due <= now then
--@include order
--@include bulk
    -- Due jobs get a fresh place, in the order of their times.
    local ids = call('ZRANGEBYSCORE', P .. 'scheduled', '-inf', now13, 'LIMIT',
                     '0', PROMOTE_MAX)
    local lists, counts = {}, {}
    local place = call('INCRBY', P .. 'order', #ids) - #ids
    for i = 1, #ids do
        local id, handler = ids[i], nil
        local head = call('GETRANGE', J .. id, 0, 95)
        if head ~= '' then
            handler = match(head, '^[^ \n]+', 28)
            local list = lists[handler]
            if not list then
                list = {}
                lists[handler] = list
            end
            local n = #list
            list[n + 1] = score_of(mode, tonumber(sub(head, 4, 6)), place + i)
            list[n + 2] = id
        else
            -- evicted
            local run = call('GETRANGE', R .. id, 0, 299)
            if run ~= '' then
                handler = match(run, '^[^ \n]+',
                                find(run, '\n', 100, true) + 28)
            end
            call('UNLINK', R .. id, P .. 'l:' .. id)
            if handler then
                call('HINCRBY', P .. 'stats', 'back:' .. handler, '-1')
            end
        end
        if handler then
            counts[handler] = (counts[handler] or 0) + 1
        end
    end
    call('ZREM', P .. 'scheduled', unpack(ids))
    for handler, n in pairs(counts) do
        call('HINCRBY', P .. 'stats', 'sch:' .. handler, -n)
    end
    for handler, list in pairs(lists) do
        if call('ZCARD', ready_key(handler, mode)) == 0 then
            arm(handler)
        end
        bulk('ZADD', ready_key(handler, mode), list)
    end
    due = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0', 'WITHSCORES')[2])
end

-- Per asked handler its ready set's members (VIEW) in their order, read some
-- (SIZE) at a time; READ: how many were, FULL: there may be more, LAST: then the
-- last one's score. OWNER: its place in argv; ONES: jobs taken that were members.
-- Arrays with names for their places: fields of a table cost ten times as much
-- to make.
-- A few are popped at once, and put back where they were not taken; that is
-- one command less.
local OWNER, LEFT, VIEW, AT, SIZE, READ = 1, 2, 3, 4, 5, 6
local ONES, FULL, LAST, SCORE, LANES, POPPED = 7, 8, 9, 10, 11, 12
local sources, nsources, rest = { false }, 0, {}
local some = nfree > total and max(4, floor(4 * total / #argv) + 1)
for i = 5, #argv, 2 do
    local left = tonumber(argv[i + 1])
    rest[i] = left == 0
    if left > 0 then
        local size, popped, view = min(left, some or left), false, nil
        if not some and left <= POP_MAX then
            popped, view = true, call('ZPOPMIN', sets[i], argv[i + 1])
        else
            view = call('ZRANGE', sets[i], '0', size - 1, 'WITHSCORES')
        end
        if #view > 0 then
            local score, full = tonumber(view[2]), #view == 2 * size
            local last = full and (size == 1 and score
                                   or tonumber(view[2 * size])) or HUGE
            nsources = nsources + 1
            sources[nsources] = { i, left, view, 1, size, size, 0, full, last,
                                  score, false, popped }
        end
    end
end

-- A lane that was looked at: its packs are read some at a time, the one in hand
-- has COUNT jobs from the id FIRST (TEXT) and the place PLACE on.
local KEY, PACKS, K, PACKS_READ, USED, NEXT, MORE = 1, 2, 3, 4, 5, 6, 7
local FIRST, COUNT, PLACE, CUT, BEST, TEXT = 8, 9, 10, 11, 12, 13

-- The best jobs' ids, then, by rounds, their records and runs. Neighbours of
-- one handler with the same distance between place and id are a part: its
-- handler's place in argv, the score of place 0, the distance, whether from a
-- lane, where its last id is.
local jobs, n, done = { false, false, false, false }, 0, 0
local parts, np, part = { false, false, false, false, false }, -5, -5
local last_i, last_base, last_apart, last_lane
local out, nout = { now, due or 0, NO_COUNTER }, 3
local counter, lead, writes, leases, nl, bytes = nil, nil, {}, {}, 0, 0
local expiry, lost, claimed, dropped, want = nil, nil, {}, {}, total
local D

repeat
    -- Where more slots are free than jobs may be taken: the best of all
    -- handlers, from a heap by their next members. Else one after another.
    local heap, nheap = sources, nsources
    if some then
        heap, nheap = {}, 0
        for k = 1, nsources do
            local source = sources[k]
            if source[LEFT] > 0 and (source[SCORE] or source[FULL]) then
                nheap = nheap + 1
                heap[nheap] = source
            end
        end
        table.sort(heap, function(a, b)
            return (a[SCORE] or 0) < (b[SCORE] or 0)
        end)
    end

    local turn = 1
    while n < want and turn <= nheap do
        local source, limit = heap[turn], HUGE
        if some and nheap > 1 then
            limit = heap[2][SCORE] or 0
            if nheap > 2 then
                limit = min(limit, heap[3][SCORE] or 0)
            end
        end
        local i, view, at = source[OWNER], source[VIEW], source[AT]
        local left, score = source[LEFT], source[SCORE]
        while true do
            score = score or tonumber(view[at + 1])
            if not score and source[FULL] or score and score > source[LAST] then
                local more
                if source[POPPED] then
                    more = call('ZPOPMIN', sets[i], source[SIZE])
                else
                    more = call('ZRANGE', sets[i], source[READ],
                                source[READ] + source[SIZE] - 1, 'WITHSCORES')
                end
                source[READ] = source[READ] + source[SIZE]
                source[FULL] = #more == 2 * source[SIZE]
                source[LAST] = source[FULL] and tonumber(more[#more]) or HUGE
                local pairs_of = {}
                for _, list in ipairs({ view, more }) do
                    for k = list == view and at or 1, #list, 2 do
                        pairs_of[#pairs_of + 1] = { tonumber(list[k + 1]),
                                                    list[k] }
                    end
                end
                table.sort(pairs_of, function(a, b) return a[1] < b[1] end)
                view, at = {}, 1
                for k = 1, #pairs_of do
                    view[2 * k - 1], view[2 * k] = pairs_of[k][2],
                                                   pairs_of[k][1]
                end
                source[VIEW] = view
                score = tonumber(view[2])
            end
            if not score or score > limit or n >= want or left == 0 then
                break
            end
            local member = view[at]
            if byte(member) < 58 then
                -- a job
                local place, base
                if mode == 'p' then
                    place = score % BAND - MID
                    base = score - place
                else
                    place = mode == 'f' and score - MID or MID - 1 - score
                    base = MID
                end
                local apart = place - member
                if apart ~= last_apart or base ~= last_base or i ~= last_i
                   or last_lane
                then
                    np = np + 5
                    parts[np + 1], parts[np + 2], parts[np + 3] = i, base, apart
                    parts[np + 4] = false
                    last_i, last_base, last_apart, last_lane = i, base, apart
                end
                n = n + 1
                jobs[n], parts[np + 5] = member, n
                left, at, score = left - 1, at + 2, nil
                source[ONES] = source[ONES] + 1
            else
                -- A lane: its packs, up to the next member.
                source[LANES] = source[LANES] or {}
                local lane = source[LANES][member]
                if not lane then
                    lane = { P .. 'h:' .. argv[i] .. ':lane:' .. sub(member, 2),
                             {}, 0, 0, 0, LANE_FIRST, true, 0, 0, 0, false,
                             false, false }
                    source[LANES][member] = lane
                end
                local bound = min(limit, source[LAST],
                                  tonumber(view[at + 3] or HUGE))
                local base = mode == 'p'
                             and (100 - sub(member, 2)) * BAND + MID or MID
                while true do
                    if lane[COUNT] == 0 then
                        local pack = lane[PACKS][lane[K] + 1]
                        lane[K] = lane[K] + 1
                        if not pack and lane[MORE] then
                            local from, to = lane[PACKS_READ], lane[PACKS_READ] + lane[NEXT] - 1
                            if mode == 'l' then
                                from, to = -1 - to, -1 - from
                            end
                            local got = call('LRANGE', lane[KEY], from, to)
                            lane[MORE] = #got == lane[NEXT]
                            lane[PACKS_READ] = lane[PACKS_READ] + #got
                            lane[NEXT] = min(LANE_MORE * lane[NEXT], LANE_MAX)
                            if mode == 'l' then
                                for k = 1, #got / 2 do
                                    local z = #got + 1 - k
                                    got[k], got[z] = got[z], got[k]
                                end
                            end
                            lane[PACKS], lane[K], pack = got, 1, got[1]
                        end
                        if not pack then
                            lane[BEST] = false
                            break
                        end
                        local id, count, place = match(pack,
                                                       '^(%d+) (%d+) (%d+)$')
                        lane[TEXT], lane[FIRST] = id, tonumber(id)
                        lane[COUNT] = tonumber(count)
                        lane[PLACE] = tonumber(place)
                    end
                    lane[BEST] = mode == 'l'
                                 and MID - lane[PLACE] - lane[COUNT]
                                 or base + lane[PLACE]
                    if n >= want or left == 0 or lane[BEST] > bound then
                        break
                    end
                    local take, id = min(lane[COUNT], left, want - n), lane[FIRST]
                    local apart, step = lane[PLACE] - id, 1
                    if mode == 'l' then
                        id, step = id + lane[COUNT] - 1, -1
                    else
                        lane[FIRST], lane[PLACE] = id + take, lane[PLACE] + take
                    end
                    if apart ~= last_apart or base ~= last_base or i ~= last_i
                       or not last_lane
                    then
                        np = np + 5
                        parts[np + 1], parts[np + 2] = i, base
                        parts[np + 3], parts[np + 4] = apart, true
                        last_i, last_base = i, base
                        last_apart, last_lane = apart, true
                    end
                    if take > 8 and id > 99 + take then
                        -- Numbers become text a hundred at a time, as in
                        -- enqueue.
                        D = D or {
                            [0] =
--@include digits
                        }
                        local low = id % 100
                        local text = fmt('%d', (id - low) / 100)
                        for k = n + 1, n + take do
                            jobs[k] = text .. D[low]
                            low, id = low + step, id + step
                            if low > 99 or low < 0 then
                                low = id % 100
                                text = fmt('%d', (id - low) / 100)
                            end
                        end
                    elseif take == 1 and step == 1 and not lane[CUT] then
                        jobs[n + 1] = lane[TEXT]
                    else
                        for k = 1, take do
                            jobs[n + k] = fmt('%d', id + step * (k - 1))
                        end
                    end
                    n, left = n + take, left - take
                    parts[np + 5] = n
                    lane[COUNT] = lane[COUNT] - take
                    lane[CUT] = lane[COUNT] > 0
                    if not lane[CUT] then
                        lane[USED] = lane[USED] + 1
                    end
                end
                local moved = lane[BEST]
                if moved then
                    local k = at
                    while view[k + 2] and moved > tonumber(view[k + 3]) do
                        view[k], view[k + 1] = view[k + 2], view[k + 3]
                        k = k + 2
                    end
                    view[k], view[k + 1] = member, moved
                else
                    at = at + 2
                end
                score = nil
            end
        end
        source[AT], source[LEFT], source[SCORE] = at, left, score

        if not some then
            turn = turn + 1
        else
            if not score or left == 0 then
                source = heap[nheap]
                heap[nheap] = nil
                nheap = nheap - 1
            end
            local k, child = 1, 2
            while child <= nheap do
                if child < nheap
                   and (heap[child + 1][SCORE] or 0) < (heap[child][SCORE] or 0)
                then
                    child = child + 1
                end
                if source[SCORE] <= (heap[child][SCORE] or 0) then
                    break
                end
                heap[k] = heap[child]
                k, child = child, 2 * child
            end
            if nheap > 0 then
                heap[k] = source
            end
        end
    end
    if n == done then
        break
    end

    -- Their records and runs.
    if not counter then
        counter = fmt('%012x', call('INCR', P .. 'claims'))
        lead = 'R' .. counter .. worker .. ' ' .. now13 .. ' '
        expiry = fmt('%d', now + lease)
    end
    local front, owner, was, in_lane = nil, nil, nl, nil
    local short = 0
    while done < n and bytes < REPLY_BYTES do
        local m = min(PER_GET, n - done)
        local keys = {}
        for k = 1, m do
            local id = jobs[done + k]
            keys[2 * k - 1], keys[2 * k] = J .. id, R .. id
        end
        local got = call('MGET', unpack(keys))
        for k = 2, 2 * m, 2 do
            done = done + 1
            if not front or done > parts[part + 5] then
                if owner and nl > was then
                    claimed[owner] = (claimed[owner] or 0) + (nl - was) / 2
                end
                while part < 0 or done > parts[part + 5] do
                    part = part + 5
                end
                was, owner, in_lane = nl, parts[part + 1], parts[part + 4]
                front = fmt('%017d', parts[part + 3])
            end
            local id, record, run = jobs[done], got[k - 1], got[k]
            if record and (not run or not in_lane and byte(run) == WAITING)
            then
                local header = sub(record, 1, find(record, '\n', 28, true))
                local attempts = 0
                if run then
                    local e = find(run, '\n', find(run, '\n', 100, true) + 28,
                                   true)
                    attempts = tonumber(sub(run, 63, 65))
                    run = lead .. front .. ' ' .. sub(run, 63, 79)
                          .. AGAIN .. sub(run, 94, 99) .. name .. '\n'
                          .. header
                          .. sub(run, e + 1, e + tonumber(sub(run, 94, 98)))
                else
                    run = lead .. front .. FIRST_RUN .. name .. '\n' .. header
                end
                writes[nl + 1], writes[nl + 2] = keys[k], run
                leases[nl + 1], leases[nl + 2] = expiry, id
                nl = nl + 2
                out[nout + 1], out[nout + 2], out[nout + 3] = id, attempts,
                                                              record
                nout = nout + 3
                bytes = bytes + #record
            else
                -- Cancelled or deleted in its lane, or evicted.
                short = short + 1
                for k = 1, nsources do
                    if sources[k][OWNER] == owner then
                        sources[k][LEFT] = sources[k][LEFT] + 1
                    end
                end
                local drop = dropped[owner] or { stale = 0, gone = 0 }
                dropped[owner] = drop
                if in_lane then
                    drop.stale = drop.stale + 1
                else
                    drop.gone = drop.gone + 1
                end
                if not record then
                    lost = lost or {}
                    lost[#lost + 1] = R .. id
                    lost[#lost + 1] = P .. 'l:' .. id
                end
            end
        end
    end
    if owner and nl > was then
        claimed[owner] = (claimed[owner] or 0) + (nl - was) / 2
    end
    want = want + short
until short == 0 or done < n or n >= LOOK_MAX

if nsources > 0 then
    if nout > 3 then
        out[3] = counter
    end
    for i = 1, nl, CHUNK do
        call('MSET', unpack(writes, i, min(i + CHUNK - 1, nl)))
    end
    if nl > 16 then
        -- A set of up to 128 short members is a packed list, where each of a
        -- batch's inserts walks past all the others. One long member makes it
        -- a skip list for as long as it lives.
        local long = string.rep('-', 129)
        call('ZADD', P .. 'leased', '0', long, unpack(leases))
        call('ZREM', P .. 'leased', long)
    elseif nl > 0 then
        call('ZADD', P .. 'leased', unpack(leases))
    end

    -- The ready sets: lanes where they are now, then the jobs taken, which are
    -- before all that is left.
    for k = 1, nsources do
        local source = sources[k]
        local i, view, moved = source[OWNER], source[VIEW], nil
        for member, lane in pairs(source[LANES] or {}) do
            if lane[USED] > 0 then
                if mode == 'l' then
                    call('LTRIM', lane[KEY], '0', -1 - lane[USED])
                else
                    call('LTRIM', lane[KEY], lane[USED], '-1')
                end
            end
            if lane[BEST] and lane[CUT] then
                call('LSET', lane[KEY], mode == 'l' and '-1' or '0',
                     fmt('%d %d %d', lane[FIRST], lane[COUNT], lane[PLACE]))
            end
            if source[POPPED] then
                -- goes back below, or is empty
            elseif lane[BEST] then
                moved = moved or {}
                moved[#moved + 1], moved[#moved + 2] = fmt('%d', lane[BEST]),
                                                       member
            else
                call('ZREM', sets[i], member)
            end
        end
        rest[i] = source[AT] <= #view and 2 or source[FULL]
        if source[POPPED] then
            for at = source[AT], #view, 2 do
                moved = moved or {}
                moved[#moved + 1] = fmt('%d', view[at + 1])
                moved[#moved + 1] = view[at]
            end
        end
        if moved then
            call('ZADD', sets[i], unpack(moved))
        end
        if source[ONES] > 0 and not source[POPPED] then
            call('ZREMRANGEBYRANK', sets[i], '0', source[ONES] - 1)
        end
    end
    for owner, k in pairs(claimed) do
        call('HINCRBY', P .. 'stats', 'claimed:' .. argv[owner],
             k == 1 and '1' or k)
    end
    -- What was too much for one reply: to its place.
    for k = done + 1, n do
        while k > parts[part + 5] do
            part = part + 5
        end
        local i, id = parts[part + 1], jobs[k]
        local place = parts[part + 3] + id
        rest[i] = true
        if not parts[part + 4]
           or call('EXISTS', J .. id) > call('EXISTS', R .. id)
        then
            call('ZADD', sets[i], fmt('%d', mode == 'l' and MID - 1 - place
                                            or parts[part + 2] + place), id)
        else
            local drop = dropped[i] or { stale = 0, gone = 0 }
            drop.stale, dropped[i] = drop.stale + 1, drop
        end
    end
    for owner, drop in pairs(dropped) do
        -- What cancel and delete left in a lane, they have counted.
        local name = argv[owner]
        local stale = tonumber(call('HGET', P .. 'stats', 'stale:' .. name) or 0)
        stale = min(stale, drop.stale)
        local evicted = drop.stale - stale + drop.gone
        if stale > 0 then
            call('HINCRBY', P .. 'stats', 'stale:' .. name, -stale)
        end
        if evicted > 0 then
            call('HINCRBY', P .. 'stats', 'back:' .. name, -evicted)
        end
    end
    if lost then
        for i = 1, #lost, CHUNK do
            call('UNLINK', unpack(lost, i, min(i + CHUNK - 1, #lost)))
        end
    end
end

-- Whoever looks next: jobs are left.
for i = 5, #argv, 2 do
    if rest[i] or moving then
        local handler = argv[i]
        local more = rest[i] == 2 or call('EXISTS', sets[i]) == 1
        if moving and not more then
            local set = P .. 'h:' .. handler .. ':ready:'
            more = call('EXISTS', set .. 'p', set .. 'f', set .. 'l') > 0
        end
        if more then
            call('ZADD', P .. 'h:' .. handler .. ':wake', '0', 'w')
        end
    end
end
return out

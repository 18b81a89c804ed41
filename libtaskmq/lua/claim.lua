#!lua flags=allow-oom
-- claim: takes the best waiting jobs for a worker's free slots. First sweeps
-- expired jobs, moves jobs of another selection mode, promotes due ones.
--
-- KEYS[1]  prefix
-- ARGV     worker id (16 hex), worker name, lease ms, total (most jobs to
--          take), then pairs: handler (each once), free slots (0: only puts the
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
-- Records, with runs, of one claim; the jobs after them go back. How many are
-- read at once, and how long they are unless a longer one was stored.
local REPLY_BYTES, PER_GET, RECORD_SMALL = 16777216, 100, 20480
-- Packs read of a lane at first, then LANE_MORE times as many, up to LANE_MAX.
local LANE_FIRST, LANE_MORE, LANE_MAX = 2, 8, 1000
-- Free slots of a handler up to which members are popped.
local POP_MAX = 8
-- Jobs from which on a claim's share one lease: see lib/shared.lua.
local SHARED_JOBS = 16
-- Jobs looked at, where some wait no more, and how many of a lane's at once.
local LOOK_MAX, AHEAD_MAX = 5000, 100
local BAND, MID, HUGE = 70368744177664, 35184372088832, math.huge
-- How a record begins, and a run that waits.
local HEAD = '^1[-op] %d%d%d [fen] [td%d][-%d][-%d] %d+ [^ \n]'
local RUN = '^W%x+[ +]%d+ [-%d]%d+ %d%d%d %d %d+ %d+ %d%d%d%d%d [^\n]*\n'
            .. '1[-op] [^\n]+\n'
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

local config = call('HMGET', P .. 'config', 'selection', 'moving', 'stale',
                    'largest', 'finished_max_bytes')
local mode = sub(config[1] or 'p', 1, 1)
-- check: ids in lanes, or all, may be of jobs that wait no more
local moving, check = config[2], (config[3] or '0') ~= '0'
local known = tonumber(config[4] or RECORD_SMALL)
local largest = known
for i = 5, #argv, 2 do
    sets[i] = P .. 'h:' .. argv[i] .. ':ready:' .. mode
end

-- As many as are claimed, so that the sets of a steady queue do not grow.
local sweep_limit, max_bytes = max(SWEEP_MAX, total), config[5]
--@include sweep

if moving then
--@include order
--@include bulk
--@include move
end

local due = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0',
                          'WITHSCORES')[2])
if due and due <= now then
--@include order
--@include bulk
--@include promote
    due = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0',
                        'WITHSCORES')[2])
end

-- Per asked handler its ready set's members (VIEW) in their order, read some
-- (SIZE) at a time; READ: how many were, FULL: there may be more, LAST: then
-- the last one's score. OWNER: its place in argv; ONES: jobs taken that were
-- members.
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
-- first lines of records that were found to be right
local heads = {}
local parts, np, part = { false, false, false, false, false }, -5, -5
local last_i, last_base, last_apart, last_lane
local out, nout = { now, due or 0, NO_COUNTER }, 3
local counter, lead, writes, leases, nl, bytes = nil, nil, {}, {}, 0, 0
local expiry, shared, lost, claimed, dropped = nil, nil, nil, {}, {}
-- looked: how many waited no more; ahead: of a lane's, to look at next
local want, looked, ahead = total, 0, 1
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
        -- The heap wants the next score also where no more is taken.
        while some or left > 0 and n < want do
            score = score or tonumber(view[at + 1])
            if not score and source[FULL] or score and score > source[LAST]
            then
--@include refill
                score = tonumber(view[2])
            end
            if not score or score > limit or n >= want or left == 0 then
                break
            end
            local member = view[at]
            if byte(member) > 57 then
--@include lane
                score = nil
            elseif check and call('EXISTS', J .. member) == 0 then
                -- evicted
                local drop = dropped[i] or { stale = 0, gone = 0 }
                drop.gone, dropped[i] = drop.gone + 1, drop
                lost = lost or {}
                lost[#lost + 1] = R .. member
                lost[#lost + 1] = P .. 'l:' .. member
                at, score, looked = at + 2, nil, looked + 1
                source[ONES] = source[ONES] + 1
                if n + looked >= LOOK_MAX then
                    want = n
                end
            else
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

--@include lease
    want = want + short
until short == 0 or done < n or n + looked >= LOOK_MAX

if nsources > 0 then
    if nout > 3 then
        out[3] = counter
    end
    for i = 1, nl, CHUNK do
        call('MSET', unpack(writes, i, min(i + CHUNK - 1, nl)))
    end
    if nl > 0 and shared then
        local token = counter .. worker
        call('ZADD', P .. 'leased', expiry, 'T' .. token)
        call('HSET', P .. 'shared', token, nl / 2)
        call('SET', P .. 's:' .. token, table.concat(leases, ' '))
    elseif nl > 0 then
        local list, k = { false, false }, 0
        for i = 1, nl / 2 do
            list[k + 1], list[k + 2] = expiry, leases[i]
            k = k + 2
        end
        call('ZADD', P .. 'leased', unpack(list))
    end

--@include taken
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
        call('ZADD', sets[i], fmt('%d', mode == 'l' and MID - 1 - place
                                        or parts[part + 2] + place), id)
    end
    for owner, drop in pairs(dropped) do
        -- What cancel and delete left in a lane, they have counted.
        local name = argv[owner]
        local stale = call('HGET', P .. 'stats', 'stale:' .. name) or 0
        stale = min(tonumber(stale), drop.stale)
        local evicted = drop.stale - stale + drop.gone
        if stale > 0 then
            call('HINCRBY', P .. 'stats', 'stale:' .. name, -stale)
            call('HINCRBY', P .. 'config', 'stale', -stale)
        end
        if evicted > 0 then
            call('HINCRBY', P .. 'stats', 'back:' .. name, -evicted)
        end
    end
    if largest > known then
        -- by an older version
        call('HINCRBY', P .. 'config', 'largest',
             largest - (config[4] or 0))
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

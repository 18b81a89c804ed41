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
                if priority ~= '' then
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

-- The best jobs: ids and scores (text) by turns. Neighbours of one handler are
-- a part: the place in argv of its handler, then where its last id is.
-- rest: handlers that may have more.
local jobs, n, parts, nparts, rest = {}, 0, {}, 0, {}

if nfree <= total then
    for i = 5, #argv, 2 do
        local free = tonumber(argv[i + 1])
        rest[i] = true
        if free > 0 then
            local got = call('ZPOPMIN', sets[i], argv[i + 1])
            local more = #got
            if more > 0 then
                if n == 0 then
                    jobs = got
                else
                    for k = 1, more do
                        jobs[2 * n + k] = got[k]
                    end
                end
                n = n + more / 2
                parts[nparts + 1], parts[nparts + 2] = i, 2 * n - 1
                nparts = nparts + 2
            end
            rest[i] = more == 2 * free
        end
    end
else
    -- More slots than jobs may be taken: the best of all handlers, from a heap
    -- of their lines' heads. A line is read some jobs at a time.
    local lines, taken, left, heap, nheap = {}, {}, {}, {}, 0
    local some = max(4, floor(4 * total / #argv) + 1)
    for i = 5, #argv, 2 do
        left[i], taken[i] = tonumber(argv[i + 1]), 0
        rest[i] = left[i] == 0
        if left[i] > 0 then
            local line = call('ZRANGE', sets[i], 0, some - 1, 'WITHSCORES')
            if #line > 0 then
                rest[i] = true
                lines[i] = line
                nheap = nheap + 1
                heap[nheap] = { tonumber(line[2]), i, 1 }
            end
        end
    end
    table.sort(heap, function(a, b) return a[1] < b[1] end)
    while n < total and nheap > 0 do
        local top = heap[1]
        local i, at = top[2], top[3]
        local line = lines[i]
        n = n + 1
        jobs[2 * n - 1], jobs[2 * n] = line[at], line[at + 1]
        if parts[nparts - 1] ~= i then
            parts[nparts + 1] = i
            nparts = nparts + 2
        end
        parts[nparts] = 2 * n - 1
        taken[i] = taken[i] + 1
        at = at + 2
        if taken[i] == left[i] then
            line = {}
        elseif at > #line and #line == 2 * some then
            line = call('ZRANGE', sets[i], taken[i], taken[i] + some - 1,
                        'WITHSCORES')
            lines[i], at = line, 1
        end
        if at > #line then
            top = heap[nheap]
            heap[nheap] = nil
            nheap = nheap - 1
        else
            top[1], top[3] = tonumber(line[at + 1]), at
        end
        -- sift down
        local k, child = 1, 2
        while child <= nheap do
            if child < nheap and heap[child + 1][1] < heap[child][1] then
                child = child + 1
            end
            if top[1] <= heap[child][1] then
                break
            end
            heap[k] = heap[child]
            k, child = child, 2 * child
        end
        if nheap > 0 then
            heap[k] = top
        end
    end
    for i, count in pairs(taken) do
        if count > 0 then
            call('ZREMRANGEBYRANK', sets[i], 0, count - 1)
        end
    end
end

-- Their records and runs.
local out, nout = { now, due or 0, NO_COUNTER }, 3

if n > 0 then
    local counter = fmt('%012x', call('INCR', P .. 'claims'))
    out[3] = counter
    local lead = 'R' .. counter .. worker .. ' ' .. now13 .. ' '
    local tail = mode .. FIRST_RUN .. name .. '\n'
    local writes, leases, nl = {}, {}, 0
    local expiry, lost, running = fmt('%d', now + lease), nil, {}
    local bytes, done, part, last, was = 0, 0, 1, parts[2], 0

    while done < n and bytes < REPLY_BYTES do
        local m = min(PER_GET, n - done)
        local keys, at = {}, 2 * done - 1
        for i = 1, 2 * m, 2 do
            local id = jobs[at + i + 1]
            keys[i], keys[i + 1] = J .. id, R .. id
        end
        local got = call('MGET', unpack(keys))
        for i = 1, 2 * m, 2 do
            at = at + 2
            local id, record, run = jobs[at], got[i], got[i + 1]
            if record then
                local header = sub(record, 1, find(record, '\n', 28, true))
                local score, attempts = jobs[at + 1], 0
                if #score < 16 then
                    score = fmt('%016d', score)
                end
                if run then
                    local e = find(run, '\n', find(run, '\n', 100, true) + 28,
                                   true)
                    attempts = tonumber(sub(run, 63, 65))
                    run = lead .. score .. mode .. ' ' .. sub(run, 63, 79)
                          .. AGAIN .. sub(run, 94, 99) .. name .. '\n'
                          .. header
                          .. sub(run, e + 1, e + tonumber(sub(run, 94, 98)))
                else
                    run = lead .. score .. tail .. header
                end
                writes[nl + 1], writes[nl + 2] = keys[i + 1], run
                leases[nl + 1], leases[nl + 2] = expiry, id
                nl = nl + 2
                out[nout + 1], out[nout + 2], out[nout + 3] = id, attempts,
                                                              record
                nout = nout + 3
                bytes = bytes + #record
            else
                lost = lost or {}
                lost[#lost + 1] = R .. id
                lost[#lost + 1] = P .. 'l:' .. id
            end
            if at == last then
                local owner = parts[part]
                running[owner] = (running[owner] or 0) + (nl - was) / 2
                was, part = nl, part + 2
                last = parts[part + 1]
            end
        end
        done = done + m
    end
    if nl > was then
        local owner = parts[part]
        running[owner] = (running[owner] or 0) + (nl - was) / 2
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
    for owner, k in pairs(running) do
        if k > 0 then
            call('HINCRBY', P .. 'stats', 'run:' .. argv[owner], k)
        end
    end
    if lost then
        call('UNLINK', unpack(lost))
    end
    for at = 2 * done + 1, 2 * n, 2 do
        while at > parts[part + 1] do
            part = part + 2
        end
        call('ZADD', sets[parts[part]], jobs[at + 1], jobs[at])
        rest[parts[part]] = true
    end
end

-- Whoever looks next: jobs are left.
for i = 5, #argv, 2 do
    if rest[i] or moving then
        local handler = argv[i]
        local more = call('EXISTS', sets[i]) == 1
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

#!lua flags=allow-oom
-- claim: takes the best waiting jobs for a worker's free slots, after those
-- that are due went to their lanes.
--
-- KEYS[1]  prefix
-- ARGV     lease token (28: a number that this worker has not used, 12 hex, and
--          its id, 16 hex), worker name, lease ms, total (most jobs to take),
--          woken ("1": this worker may have taken a wake-up marker, so that
--          those of handlers with jobs left are put back; else "0"), then
--          pairs: handler (each once), free slots (0: it only may be woken)
-- Returns  now (ms, integer), earliest due time of a scheduled job (ms,
--          integer, 0: none), then per job: id (string), attempts (integer),
--          record (without its payload where that is in b:<id>)
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base
--@include now

local token, name = argv[1], argv[2]
local lease, total = tonumber(argv[3]), tonumber(argv[4])
if not lease or not total or #token ~= 28 or #argv % 2 ~= 1 then
    return redis.error_reply('ERR TASKMQ claim: arguments')
end
total = min(total, TQ_CLAIM_MAX)

local due = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0',
                          'WITHSCORES')[2])
if due and due <= now then
--@include promote
    due = promote()
end
local mode = byte(call('HGET', P .. 'config', 'selection') or 'priority')
local LIFO, PRIORITY, WAITING = 108, 112, 87

-- The asked handlers' lanes. rank, then place, says which is next; rank goes by
-- priority where the selection does. packs are read some at a time, read before
-- these; packs[at] is in hand: jobs are left of it, ids from first on, the next
-- one at place; ran: it has a run, and this is its place; cut: not all that the
-- pack had; back: packs that go back.
local lanes, nlanes, free, NONE = { false }, 0, {}, {}
-- Before all places: what was not read yet may be anywhere.
local UNREAD = -1e99
-- The lanes to take from, as a heap: the next one first.
local heap, size = { false }, 0

-- The k-th lane of a handler. By priority, the next one comes when it is over.
local function new_lane(owner, names, k)
    nlanes = nlanes + 1
    local lane = {
        owner = owner, index = 101 * owner + k, name = names[k],
        rank = mode == PRIORITY and 100 - names[k] or 0, packs = NONE, at = 0,
        read = 0, jobs = 0, first = 0, place = UNREAD, ran = false, cut = false,
        over = false, k = k, names = mode == PRIORITY and names or NONE
    }
    lanes[nlanes] = lane
    return lane
end

for i = 6, #argv, 2 do
    local slots = tonumber(argv[i + 1])
    if not slots then
        return redis.error_reply('ERR TASKMQ claim: argument ' .. i + 1)
    end
    local names = call('ZRANGE', P .. 'h:' .. argv[i] .. ':ready', '0', '-1')
    free[i] = slots
    local most = slots > 0 and #names or 0
    for k = 1, mode == PRIORITY and min(most, 1) or most do
        size = size + 1
        heap[size] = new_lane(i, names, k)
    end
end

-- Takes a lane's next pack in hand: the first one alone, then some at a time.
-- False: there is none.
local function next_pack(lane)
    local at = lane.at + 1
    if at > #lane.packs then
        local key = P .. 'h:' .. argv[lane.owner] .. ':lane:' .. lane.name
        if at == 1 then
            lane.packs = { call('LINDEX', key, mode == LIFO and '-1' or '0') }
        else
            local n = min(total, free[lane.owner], TQ_LANE_READ)
            local from = lane.read + #lane.packs
            local to = from + n - 1
            lane.packs = call('LRANGE', key, mode == LIFO and -1 - to or from,
                              mode == LIFO and -1 - from or to)
            lane.read, at = from, 1
        end
    end
    lane.at = at
    local pack = lane.packs[mode == LIFO and #lane.packs + 1 - at or at]
    if not pack then
        lane.over = true
        return false
    end
    local first, jobs, place = tonumber(pack), 1, nil
    if not first then
        first, jobs, place = match(pack, '^(%d+) (%d+) ?([%d.]*)$')
        first, jobs = tonumber(first), tonumber(jobs)
    end
    lane.ran = tonumber(place) and place
    place = tonumber(place) or first
    lane.first, lane.jobs, lane.cut = first, jobs, false
    lane.place = mode == LIFO and 1 - place - jobs or place
    return true
end

-- How a run begins: of all, and of a job's first.
local lead = '1R0000000000000 ' .. token .. ' ' .. now13
local first_run = lead .. ' 000 0 0000000000 00000 ' .. name .. '\n'
-- Selected: ids, their lanes, and (ran) the places of those that have a run;
-- looked at are those before done. Once some waited no more, ahead more are
-- selected than may be taken. A table that begins with places for a few does not
-- have to grow for them.
local ids, lane_of, n, done = { false, false }, { false, false }, 0, 0
local ran, ahead, gone = nil, 0, 0
local out, writes, held, nheld = { now, due or 0, false, false, false },
                                 { false, false }, { false }, 0
local claimed = {}
-- How a record's first line looks, and one that does, which neighbours share.
local SOUND = '^1[-op] %d%d%d [fen] [td%d][-%d][-%d] %d+ [^ \n]'
local sound_header

repeat
    if gone > 0 then
        ahead, gone, size = min(2 * (ahead + gone), TQ_LANE_READ), 0, 0
        for i = 1, nlanes do
            local lane = lanes[i]
            local slots = argv[lane.owner + 1] - (claimed[lane.owner] or 0)
            free[lane.owner] = slots > 0 and slots + ahead or 0
            lane.place = lane.jobs > 0 and lane.place or UNREAD
            size = size + 1
            heap[size] = lane
        end
    end
    local put
    if size > 1 then
--@include heap
        put = sift
        for i = floor(size / 2), 1, -1 do
            put(heap, size, i)
        end
    end
    local want = min(n + total - nheld + ahead, TQ_LOOK_MAX)
    while n < want and size > 0 do
        local best = heap[1]
        local owner = best.owner
        if free[owner] > 0 and best.over and best.names[best.k + 1] then
            heap[1] = new_lane(owner, best.names, best.k + 1)
            best.names = NONE
        elseif free[owner] == 0 or best.over then
            heap[1], size = heap[size], size - 1
        elseif best.jobs == 0 then
            next_pack(best)
        else
            -- Packs that are before those of the next best lane: no place is
            -- among those of a pack, which one call of enqueue made.
            local bound
            for k = 2, min(size, 3) do
                if heap[k].rank == best.rank
                   and not (bound and bound < heap[k].place)
                then
                    bound = heap[k].place
                end
            end
            repeat
                local k = min(best.jobs, free[owner], want - n)
                if best.ran then
                    ran = ran or {}
                    ran[n + 1] = best.ran
                end
                local id, step = best.first, 1
                if mode == LIFO then
                    id, step = id + best.jobs - 1, -1
                else
                    best.first = id + k
                end
                for j = 0, k - 1 do
                    n = n + 1
                    ids[n], lane_of[n] = fmt('%d', id + j * step), best
                end
                free[owner] = free[owner] - k
                best.jobs, best.place = best.jobs - k, best.place + k
                best.cut = best.jobs > 0
            until n == want or free[owner] == 0
                  or best.jobs == 0 and not next_pack(best)
                  or bound and best.place >= bound
        end
        if size > 1 then
            put(heap, size, 1)
        end
    end

    -- Those that wait. Others were cancelled or deleted, and counted then.
    while done < n do
        local keys, m = { false, false }, min(n - done, TQ_LANE_READ)
        for k = 1, m do
            local id = ids[done + k]
            keys[2 * k - 1], keys[2 * k] = J .. id, R .. id
            if ran and ran[done + k] then
                keys[2 * k] = P
            end
        end
        local got = call('MGET', unpack(keys, 1, 2 * m))
        for k = 1, m do
            local id, lane = ids[done + k], lane_of[done + k]
            local owner = lane.owner
            local record, run, attempts = got[2 * k - 1], got[2 * k], 0
            if ran and ran[done + k] then
                -- not with its last result
                run = call('GETRANGE', R .. id, '0', TQ_RUN_READ_BYTES)
                run = run ~= '' and run
            end
            local e = record and find(record, '\n', TQ_JOB_HANDLER_FIRST, true)
            local header, damaged = e and sub(record, 1, e), nil
            if not header or header ~= sound_header then
                if header and find(header, SOUND) then
                    sound_header = header
                else
                    damaged = 'record'
                end
            end
            if run then
--@include sound
                damaged = damaged or not is_run(run) and 'last run'
            end
            if not record
               or run and byte(run, TQ_RUN_STATE_FIRST) ~= WAITING
                  and damaged ~= 'last run'
            then
                gone = gone + 1
            elseif damaged then
--@include unreadable
                gone = gone + 1
                unreadable(id, argv[owner], damaged)
                call('HINCRBY', P .. 'stats', 'back:' .. argv[owner], '-1')
            elseif ahead > 0
                   and (nheld == total or (claimed[owner] or 0)
                                          >= tonumber(argv[owner + 1]))
            then
                lane.back = lane.back or {}
                local place = ran and ran[done + k]
                lane.back[#lane.back + 1] = place and id .. ' 1 ' .. place or id
            else
                if run then
                    e = find(run, '\n', find(run, '\n', TQ_RUN_NAME_FIRST,
                                                   true) + 1, true)
                    attempts = tonumber(sub(run, TQ_RUN_ATTEMPTS))
                    run = lead .. sub(run, TQ_RUN_STARTED_LAST + 1,
                                      TQ_RUN_NAME_FIRST - 1)
                          .. name .. '\n' .. header
                          .. sub(run, e + 1,
                                 e + tonumber(sub(run, TQ_RUN_ERROR_LEN)))
                else
                    run = first_run .. header
                end
                nheld = nheld + 1
                local w, o = 2 * nheld, 3 * nheld
                writes[w - 1], writes[w], held[nheld] = R .. id, run, id
                out[o], out[o + 1], out[o + 2] = id, attempts, record
                claimed[owner] = (claimed[owner] or 0) + 1
            end
        end
        done = done + m
    end
until nheld == total or n < want and gone == 0 or n >= TQ_LOOK_MAX

if nheld == 0 then
    out = { now, due or 0 }
else
    call('MSET', unpack(writes, 1, 2 * nheld))
    call('ZADD', P .. 'leased', fmt('%d', now + lease), token)
    call('SET', P .. 't:' .. token,
         fmt('%04d ', nheld) .. concat(held, ' '))
    for owner, k in pairs(claimed) do
        call('HINCRBY', P .. 'stats', 'claimed:' .. argv[owner],
             k == 1 and '1' or k)
    end
end
-- What was selected goes from its lane, whether it waited or not.
for i = 1, nlanes do
    local lane = lanes[i]
    if lane.at > 0 then
        local handler = P .. 'h:' .. argv[lane.owner]
        local key = handler .. ':lane:' .. lane.name
        local used = lane.read + lane.at
                     - ((lane.over or lane.jobs > 0) and 1 or 0)
        if used == 1 then
            call(mode == LIFO and 'RPOP' or 'LPOP', key)
        elseif used > 1 then
            call('LTRIM', key, mode == LIFO and '0' or used,
                 mode == LIFO and -1 - used or '-1')
        end
        if lane.cut then
            call('LSET', key, mode == LIFO and '-1' or '0',
                 fmt('%d', lane.first)
                 .. (lane.jobs > 1 and ' ' .. lane.jobs or ''))
        end
        for k = lane.back and #lane.back or 0, 1, -1 do
            call(mode == LIFO and 'RPUSH' or 'LPUSH', key, lane.back[k])
        end
        if not (lane.back or lane.jobs > 0 or lane.at < #lane.packs)
           and (lane.over or call('EXISTS', key) == 0)
        then
            call('ZREM', handler .. ':ready', lane.name)
        end
    end
end
for i = 6, argv[5] == '1' and #argv or 0, 2 do
    if call('EXISTS', P .. 'h:' .. argv[i] .. ':ready') == 1 then
        call('ZADD', P .. 'h:' .. argv[i] .. ':wake', '0', 'w')
    end
end
return out

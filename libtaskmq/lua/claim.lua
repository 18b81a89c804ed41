#!lua flags=allow-oom
-- claim: takes the best waiting jobs for a worker's free slots; those that are due
-- once `due` has put them into their lanes: the worker calls it at that time.
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
--@include now

local token, name = argv[1], argv[2]
local lease, total = tonumber(argv[3]), tonumber(argv[4])
if not lease or not total or #token ~= 28 or #argv % 2 ~= 1 then
    return redis.error_reply('ERR TASKMQ claim: arguments')
end
total = min(total, TQ_CLAIM_MAX)

local due = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0',
                          'WITHSCORES')[2] or 0)
-- nil: by priority.
local order = match(call('GET', P .. 'seq') or '', '%l+')
local lifo, WAITING = order == 'lifo', 87

-- The lanes that were taken up, and as a heap those to take from: the next one
-- first, by rank, place and index. By priority the lane that follows is taken up
-- when this one is over. Else when it is read, which is when it comes first: its
-- score in `ready` is not after the place of its next job.
-- packs are read some at a time, read before these, and short when these are the
-- last; packs[at] is in hand: jobs are left of it, ids from first on, the next
-- one at place; ran: it has a run, and this is its place; cut: not all that the
-- pack had; stopped: so many packs go, where not all of those read do.
local lanes, nlanes, heap, size = { false }, 0, { false }, 0
-- Before all places: what was not read yet may be anywhere.
local UNREAD = -1e99
-- Free slots, by the handler's place in ARGV.
local free = {}
-- Once some waited no more, ahead more are looked at than may be taken.
local ahead = 0

local function is_before(a, b)
    return a.rank < b.rank or a.rank == b.rank
           and (a.place < b.place or a.place == b.place and a.index < b.index)
end

-- Puts the lane at `at` of the heap where it belongs.
local function sift(at)
    local lane, child = heap[at], 2 * at
    while child <= size do
        if child < size and is_before(heap[child + 1], heap[child]) then
            child = child + 1
        end
        if is_before(lane, heap[child]) then
            break
        end
        heap[at], at, child = heap[child], child, 2 * child
    end
    heap[at] = lane
end

-- Takes up the lane of a handler that comes after so many others, if there is.
local function take_up(owner, others)
    local prefix = P .. 'h:' .. argv[owner]
    local at = others == 0 and '0' or fmt('%d', others)
    local got = order and call('ZRANGE', prefix .. ':ready', at, at, 'REV',
                               'WITHSCORES')
                or call('ZRANGE', prefix .. ':ready', at, at)
    local name = got[1]
    if not name then
        return
    end
    local lane = {
        owner = owner, others = others, index = 101 * owner + 100 - name,
        name = name, key = prefix .. ':lane:' .. name,
        rank = order and 0 or 100 - name, place = order and -got[2] or UNREAD,
        packs = false, at = 0, read = 0, jobs = 0, first = false
    }
    nlanes, size = nlanes + 1, size + 1
    lanes[nlanes], heap[size] = lane, lane
    local above = floor(size / 2)
    while above > 0 and heap[above] ~= lane do
        sift(above)
        above = heap[above] == lane and floor(above / 2) or 0
    end
end

for i = 6, #argv, 2 do
    free[i] = tonumber(argv[i + 1])
    if not free[i] then
        return redis.error_reply('ERR TASKMQ claim: argument ' .. i + 1)
    elseif free[i] > 0 then
        take_up(i, 0)
    end
end

-- Takes a lane's next pack in hand. False: there is none.
local function next_pack(lane)
    local packs, at = lane.packs, lane.at + 1
    if not packs then
        packs = call('LRANGE', lane.key, lifo and '-2' or '0',
                     lifo and '-1' or '1')
        lane.packs, lane.short = packs, #packs < 2
    elseif at > #packs and not lane.short then
        local from = lane.read + #packs
        local n = max(1, min(min(total, free[lane.owner]) + ahead,
                             TQ_LANE_READ))
        packs = call('LRANGE', lane.key, lifo and -from - n or from,
                     lifo and -1 - from or from + n - 1)
        lane.packs, lane.short, lane.read, at = packs, #packs < n, from, 1
    end
    lane.at = at
    local pack = packs[lifo and #packs + 1 - at or at]
    if not pack then
        lane.over = true
        return false
    end
    -- Of one job first is a text.
    local place, jobs, first, ran = tonumber(pack), 1, pack, false
    if not place then
        first, jobs, ran = match(pack, '^(%d+) (%d+) ?([%d.]*)$')
        jobs, ran = tonumber(jobs), tonumber(ran) and ran
        place = tonumber(ran or first)
    end
    lane.first, lane.jobs, lane.ran, lane.cut = first, jobs, ran, false
    lane.place = lifo and 1 - place - jobs or place
    return true
end

-- How a run begins: of all, and of a job's first.
local lead = '1R0000000000000 ' .. token .. ' ' .. now13
local first_run = lead .. ' 000 0 0000000000 00000 ' .. name .. '\n'
-- A table that begins with places for a few does not have to grow for them.
local out, writes = { now, due, false, false, false },
                    { false, false, false, false }
local held, nheld, looked = { false }, 0, 0
local keys, ids = { false, false }, { false }
-- How a record's first line looks, and one that does, which neighbours share.
local SOUND = '^1[-op] %d%d%d [fen] [td%d][-%d][-%d] %d+ [^ \n]'
local sound_header

while nheld < total and size > 0 and looked < TQ_LOOK_MAX do
    local lane = heap[1]
    local owner = lane.owner
    if free[owner] == 0 or lane.over then
        heap[1], size = heap[size], size - 1
        if size > 1 then
            sift(1)
        end
        if not order and free[owner] > 0 then
            take_up(owner, lane.others + 1)
        end
    elseif lane.jobs == 0 then
        if order and not lane.packs then
            take_up(owner, lane.others + 1)
        end
        next_pack(lane)
    else
        -- Packs that are before those of the next best lanes: no place is among
        -- those of a pack, which one call of enqueue made.
        local most = min(min(total - nheld, free[owner]) + ahead, TQ_LANE_READ)
        -- Where more are looked at: what was in hand before each pack's part.
        local n, gone, ran, parts = 0, 0, nil, ahead > 0 and {}
        repeat
            local k, id, step = min(lane.jobs, most - n), lane.first, 1
            local alone = lane.jobs == 1 and not lane.cut
            if parts then
                parts[#parts + 1] = { n, lane.read + lane.at - 1, id, lane.jobs,
                                      lane.place }
            end
            if lifo and not alone then
                id, step = id + lane.jobs - 1, -1
            elseif k < lane.jobs then
                lane.first = id + k
            end
            for j = 0, k - 1 do
                n = n + 1
                ids[n] = alone and id or fmt('%d', id + j * step)
                keys[2 * n - 1], keys[2 * n] = J .. ids[n], R .. ids[n]
                if lane.ran then
                    -- read below, not with its last result
                    ran, keys[2 * n] = ran or {}, lane.key
                    ran[n] = lane.ran
                end
            end
            lane.jobs, lane.place = lane.jobs - k, lane.place + k
            lane.cut = lane.jobs > 0
        until n == most or lane.jobs == 0 and not next_pack(lane)
              or size > 1 and is_before(heap[2], lane)
              or size > 2 and is_before(heap[3], lane)
        looked = looked + n
        local got = call('MGET', unpack(keys, 1, 2 * n))
        for k = 1, n do
            local id, record, run = ids[k], got[2 * k - 1], got[2 * k]
            local place, attempts, damaged = ran and ran[k], 0, false
            if place then
                run = call('GETRANGE', R .. id, '0', TQ_RUN_READ_BYTES)
                run = run ~= '' and run
            end
            local e = record and find(record, '\n', TQ_JOB_HANDLER_FIRST, true)
            local header = e and sub(record, 1, e)
            if not header or header ~= sound_header then
                damaged = not (header and find(header, SOUND)) and 'record'
                sound_header = not damaged and header or sound_header
            end
            if run then
--@include header
                damaged = damaged or not is_run(run) and 'last run'
            end
            if not record or run and damaged ~= 'last run'
                             and byte(run, TQ_RUN_STATE_FIRST) ~= WAITING
            then
                -- It was cancelled or deleted, and counted then.
                gone = gone + 1
            elseif damaged then
--@include unreadable
                gone = gone + 1
                unreadable(id, argv[owner], damaged)
                call('HINCRBY', P .. 'stats', 'back:' .. argv[owner], '-1')
            elseif nheld == total or free[owner] == 0 then
                -- It stays, and all after it.
                local part = table.remove(parts)
                while part[1] >= k do
                    part = table.remove(parts)
                end
                local taken = k - 1 - part[1]
                lane.stopped = part[2]
                lane.first = (taken == 0 or lifo) and part[3] or part[3] + taken
                lane.jobs, lane.place = part[4] - taken, part[5] + taken
                lane.cut = taken > 0
                break
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
                end
                nheld, free[owner] = nheld + 1, free[owner] - 1
                local w, o = 2 * nheld, 3 * nheld
                writes[w - 1], writes[w] = R .. id, run or first_run .. header
                out[o], out[o + 1], out[o + 2] = id, attempts, record
                held[nheld] = id
            end
        end
        ahead = gone > 0 and min(2 * (ahead + gone), TQ_LANE_READ) or ahead
        if nheld < total and lane.jobs == 0 and not lane.over then
            -- Its place may be any.
            next_pack(lane)
        end
    end
    if size > 1 then
        sift(1)
    end
end

if nheld == 0 then
    out = { now, due }
else
    local w = 2 * nheld + 2
    writes[w - 1] = P .. 't:' .. token
    writes[w] = fmt('%04d ', nheld) .. concat(held, ' ')
    call('ZADD', P .. 'leased', fmt('%d', now + lease), token)
    call('MSET', unpack(writes, 1, w))
end
-- What was looked at goes from its lane, whether it waited or not.
for i = 1, nlanes do
    local lane = lanes[i]
    if order and lane.packs and lane.jobs == 0 and not lane.over then
        next_pack(lane)
    end
    local used = lane.stopped or lane.read + lane.at
                                 - ((lane.over or lane.jobs > 0) and 1 or 0)
    if used == 1 then
        call(lifo and 'RPOP' or 'LPOP', lane.key)
    elseif used > 1 then
        call('LTRIM', lane.key, lifo and '0' or used,
             lifo and -1 - used or '-1')
    end
    if lane.cut then
        call('LSET', lane.key, lifo and '-1' or '0', fmt('%d', lane.first)
             .. (lane.jobs > 1 and ' ' .. lane.jobs or ''))
    end
    if lane.at > 0 and lane.jobs == 0
       and (lane.over or lane.at == #lane.packs
                         and (lane.short or call('EXISTS', lane.key) == 0))
    then
        call('ZREM', P .. 'h:' .. argv[lane.owner] .. ':ready', lane.name)
    elseif order and lane.packs then
        call('ZADD', P .. 'h:' .. argv[lane.owner] .. ':ready', -lane.place,
             lane.name)
    end
end
for i = 6, #argv, 2 do
    local claimed = argv[i + 1] - free[i]
    if claimed > 0 then
        call('HINCRBY', P .. 'stats', 'claimed:' .. argv[i],
             claimed == 1 and '1' or claimed)
    end
    if argv[5] == '1' and call('EXISTS', P .. 'h:' .. argv[i] .. ':ready') == 1
    then
        call('ZADD', P .. 'h:' .. argv[i] .. ':wake', '0', 'w')
    end
end
return out

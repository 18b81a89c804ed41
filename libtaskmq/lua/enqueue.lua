#!lua
-- enqueue: stores jobs. Many independent groups in one call, each all or
-- none, so that unrelated requests of one event-loop turn share a call.
--
-- KEYS[1]  prefix, "{ns}:"
-- ARGV     number of groups; then per group:
--            "g<jobs> <hash> <known> <key>", left out where it would say
--              "g1 ... 0 ", as for most requests: each argument costs as
--              much as a command does.
--              jobs: their number (>= 1); hash: of the body, 16 hex; known:
--              "1" refuses handlers that no live worker serves, else "0"; key:
--              "<len of scope>:<scope>:<idempotency key>", or ""
--            then per job:
--              kind: bytes 1-13 of the record, due (ms; 0, or in the past:
--                now), a blank, handler. Jobs of one kind share its reading.
--              tail: bytes 27 to the end of the record (from the blank after
--                the created time on)
-- Returns  pairs of integers, an outcome and how many groups it is for, in
--          their order. The outcome is the first job id (ids follow each other,
--          in a group and, where it is for several groups, each one job, from
--          group to group), or for each of them -1 the key was used with
--          another body, -2 too many handlers, -3 no worker serves a handler
-- Errors   "ERR TASKMQ ..." for arguments that do not add up; nothing is
--          written then. Without allow-oom: a full Redis refuses it whole.


-- The hot path has no functions: in Lua 5.1 a closure costs as much as a
-- command. Rare work that needs them has them in its own branch.

--@include base
--@include now

local HANDLERS_MAX, GONE_MS, WAKE_MAX_MS, LOOK_MAX = 1000, 60000, 5000, 50
local IDEMPOTENCY_TTL_S = 86400
local RECORD_SMALL, HEAD = 20480, 26
local BAND, MID = 70368744177664, 35184372088832
local PLACE_MAX, ID_MAX = 35184372088831, 9007199254740991
-- Neighbours of one kind go to their lane, as one pack, when there are so many
-- of them, or so many members in the ready set; else one by one into that set.
local LANE_JOBS, LANE_MEMBERS = 8, 64

-- One read: the counters, and what the idempotency keys hold.
local ngroups, at, njobs = tonumber(argv[1]), 2, nil
local reads, nreads, asked = { P .. 'seq', P .. 'order' }, 2, nil
if not ngroups or ngroups < 1 or ngroups % 1 ~= 0 then
    return redis.error_reply('ERR TASKMQ enqueue: number of groups')
end
-- plain: each group is one job that asks for nothing else
local plain = #argv == 1 + 2 * ngroups
if plain then
    njobs = ngroups
else
    asked, njobs = {}, 0
    for g = 1, ngroups do
        local n = 1
        if byte(argv[at] or 'g') == 103 then
            local jobs, hash, known, key = match(argv[at] or '',
                                                 '^g(%d+) (%x+) ([01]) (.*)$')
            n = tonumber(jobs)
            if not n or n < 1 then
                return redis.error_reply('ERR TASKMQ enqueue: group ' .. g)
            end
            asked[g] = { n, hash, known == '1', key }
            if key ~= '' then
                nreads = nreads + 1
                reads[nreads] = P .. 'u:' .. key
            end
            at = at + 1
        end
        njobs = njobs + n
        at = at + 2 * n
    end
    if at ~= #argv + 1 then
        return redis.error_reply('ERR TASKMQ enqueue: number of arguments')
    end
end

local config = call('HMGET', P .. 'config', 'selection', 'moving', 'largest')
local mode = sub(config[1] or 'p', 1, 1)
-- the longest tail; see claim
local largest = (config[3] or RECORD_SMALL) - HEAD
local known = largest

-- used: idempotency key -> what is known of it: the first id and a body hash
local used, id_text, id, place = nil, nil, nil, nil
for i = 1, nreads, 4000 do
    local got = call('MGET', unpack(reads, i, min(i + 3999, nreads)))
    local from = 1
    if i == 1 then
        id_text = got[1] or '0'
        id, place = tonumber(id_text), tonumber(got[2] or 0)
        from = 3
    end
    for k = from, #got do
        used = used or {}
        if got[k] then
            local first, hash = match(got[k], '^(%d+) (.*)$')
            used[reads[i + k - 1]] = { tonumber(first), hash }
        end
    end
end
if id + njobs > ID_MAX or place + njobs > PLACE_MAX then
    return redis.error_reply('ERR TASKMQ enqueue: out of numbers')
end
local id_was, place_was = id, place

-- Numbers become text 100 at a time: printing each would cost more than
-- storing it. id_low: the last two digits, id_text: those before. %d is a long
-- of 64 bits, here and in what follows.
local D = njobs > 8 and id > 99 and {
    [0] =
--@include digits
} or nil
local id_low = id % 100
id_text = sub(id_text, 1, -3)

local answer, na, names, forget = { false, false }, 0, nil, nil
local seen, records, nrec = {}, { false, false, false, false, false, false }, 2
local sched, nsched, keep = nil, 0, nil

-- What is known of a handler: its ready set, how many members that has,
-- members to add (FILLED: the elements of LIST in use), jobs for it, scheduled
-- ones, name, NAMED: it is registered; SERVED: nil, not asked yet; the earliest
-- due time, lanes. An array: fields of a table cost ten times as much to make.
local SET, MEMBERS, LIST, FILLED, READY, SCHED = 1, 2, 3, 4, 5, 6
local NAME, NAMED, SERVED, DUE, LANES = 7, 8, 9, 10, 11
-- kind -> { what is known of its handler, due, the record up to its tail, the
-- score without its place, the lane }
local kinds = {}
-- The last row's kind: its text and what is in it.
local last, kind, info, due, head
-- Packs, by fours: kind, first id, its place, jobs; and the open one.
local packs, npacks = { false, false, false, false }, 0
local pack_id, pack_place, pack = nil, nil, 0
-- The last row's id as text.
local name

at = 2
local g = 1
while g <= ngroups do
    local ask, n, key, known, no = asked and asked[g], 1, '', false, nil
    if ask then
        n, known, key = ask[1], ask[3], ask[4]
        at = at + 1
    end
    local z = at + 2 * n - 2
    local fresh, nfresh = nil, 0

    -- Checks: all before this group's first row.
    if key ~= '' then
        local use = used[P .. 'u:' .. key]
        if use then
            no = use[2] == ask[2] and use[1] or -1
            -- It is free again when all it led to was deleted; of another
            -- body's jobs only the first is known.
            local ids = {}
            for i = 1, no > 0 and n or 1 do
                ids[i] = fmt('%sx:%d', P, use[1] + i - 1)
            end
            if call('EXISTS', unpack(ids)) == #ids then
                no = nil
            end
        end
    end
    if not no and (known or n > 1 or argv[at] ~= last) then
        local same
        for i = at, z, 2 do
            if argv[i] ~= same then
                same = argv[i]
                local new = kinds[same]
                if not new then
                    local first, time, handler = match(same,
                        '^(.............)(%d+) (.+)$')
                    if not first then
                        return redis.error_reply('ERR TASKMQ enqueue: kind')
                    end
                    local about = seen[handler]
                    if not about then
                        local set = P .. 'h:' .. handler .. ':ready:' .. mode
                        local waiting = call('ZCARD', set)
                        about = { set, waiting, { false, false, false, false },
                                  0, 0, 0, handler, false, nil, false, false }
                        seen[handler] = about
                        -- waiting jobs mean that it is registered
                        about[NAMED] = waiting > 0
                                      or not (forget and forget[handler])
                                         and call('HEXISTS', P .. 'handlers',
                                                  handler) == 1
                    end
                    time = tonumber(time)
                    new = { about, time > now and time or nil, first .. now13,
                            mode == 'p'
                            and (100 - tonumber(sub(first, 4, 6))) * BAND + MID
                            or MID, sub(first, 4, 6) }
                    kinds[same] = new
                end
                local about = new[1]
                if not about[NAMED] then
                    fresh = fresh or {}
                    if not fresh[about[NAME]] then
                        fresh[about[NAME]] = about
                        nfresh = nfresh + 1
                    end
                end
                if known then
                    if about[SERVED] == nil then
                        local score = call('ZSCORE', P .. 'served',
                                           about[NAME])
                        about[SERVED] = score
                                       and tonumber(score) > now - GONE_MS
                                       or false
                    end
                    if not about[SERVED] then
                        no = -3
                        break
                    end
                end
            end
        end
    end
    if not no and nfresh > 0 then
        names = names or call('HLEN', P .. 'handlers')
        local over, idle = names + nfresh - HANDLERS_MAX, {}
        if over > 0 then
            -- Names of which nothing waits, runs or is dead can be forgotten.
            -- A look at some at random: a registry full of busy names costs
            -- little.
            local some = call('HRANDFIELD', P .. 'handlers', LOOK_MAX)
            for i = 1, #some do
                local name = some[i]
                local set = P .. 'h:' .. name .. ':ready:'
                local sizes = call('HMGET', P .. 'stats', 'sch:' .. name,
                                   'dead:' .. name, 'claimed:' .. name,
                                   'left:' .. name)
                if #idle < over and not seen[name]
                   and not (forget and forget[name])
                   and (sizes[1] or '0') == '0' and (sizes[2] or '0') == '0'
                   and (sizes[3] or '0') == (sizes[4] or '0')
                   and call('EXISTS', set .. 'p', set .. 'f', set .. 'l') == 0
                then
                    idle[#idle + 1] = name
                end
            end
        end
        if #idle < over then
            -- Those that a live worker serves have as much room of their own.
            no = over - #idle > HANDLERS_MAX and -2 or nil
            for name in pairs(fresh) do
                local seen = tonumber(call('ZSCORE', P .. 'served', name) or 0)
                no = seen <= now - GONE_MS and -2 or no
            end
        end
        if not no then
            forget = forget or {}
            for i = 1, #idle do
                forget[idle[i]] = true
            end
            names = names - #idle + nfresh
            for _, new in pairs(fresh) do
                new[NAMED] = true
            end
        end
    end

    -- Rows: of this group, or of this and all its neighbours of one kind.
    local first = no or id + 1
    if no then
        at = z + 2
    else
        if key ~= '' then
            used[P .. 'u:' .. key] = { first, ask[2] }
            keep = keep or {}
            keep[P .. 'u:' .. key] = fmt('%d ', first) .. ask[2]
        end
        repeat
            if argv[at] ~= last then
                if pack > 0 then
                    packs[npacks + 1], packs[npacks + 2] = kind, pack_id
                    packs[npacks + 3], packs[npacks + 4] = pack_place, pack
                    npacks, pack = npacks + 4, 0
                end
                last = argv[at]
                kind = kinds[last]
                info, due, head = kind[1], kind[2], kind[3]
                pack_id, pack_place = id + 1, place + 1
            end
            id = id + 1
            if D then
                id_low = id_low + 1
                if id_low > 99 then
                    id_low = id % 100
                    id_text = fmt('%d', (id - id_low) / 100)
                end
                name = id_text .. D[id_low]
            else
                name = fmt('%d', id)
            end
            local tail = argv[at + 1]
            records[nrec + 1] = J .. name
            records[nrec + 2] = head .. tail
            if #tail > largest then
                largest = #tail
            end
            nrec = nrec + 2
            if due then
                sched = sched or {}
                sched[nsched + 1], sched[nsched + 2] = fmt('%d', due), name
                nsched = nsched + 2
                info[SCHED] = info[SCHED] + 1
                info[DUE] = min(info[DUE] or due, due)
            else
                place, pack = place + 1, pack + 1
            end
            at = at + 2
        until at > z and not (plain and argv[at] == last)
    end
    local groups = plain and not no and id - first + 1 or 1
    answer[na + 1], answer[na + 2] = first, groups
    na, g = na + 2, g + groups
end

-- Writes. Names go first: one may have come back later in this call.
if forget then
    for name in pairs(forget) do
        call('HINCRBY', P .. 'stats', 'forgotten',
             call('HGET', P .. 'handlers', name))
        call('HDEL', P .. 'handlers', name)
        call('HDEL', P .. 'stats', 'claimed:' .. name, 'left:' .. name,
             'back:' .. name, 'stale:' .. name, 'sch:' .. name,
             'dead:' .. name)
        call('DEL', P .. 'h:' .. name .. ':wake')
    end
end
if pack > 0 then
    packs[npacks + 1], packs[npacks + 2] = kind, pack_id
    packs[npacks + 3], packs[npacks + 4] = pack_place, pack
    npacks = npacks + 4
end
for i = 1, npacks, 4 do
    local kind, first, from, jobs = packs[i], packs[i + 1], packs[i + 2],
                                    packs[i + 3]
    local info, base = kind[1], kind[4]
    info[READY] = info[READY] + jobs
    if jobs >= LANE_JOBS
       or info[MEMBERS] + info[FILLED] / 2 >= LANE_MEMBERS
    then
        local lanes = info[LANES] or {}
        info[LANES] = lanes
        local lane = lanes[kind[5]]
        if not lane then
            lane = { base = base, first = from }
            lanes[kind[5]] = lane
        end
        lane[#lane + 1] = fmt('%d %d %d', first, jobs, from)
        lane.last = from + jobs - 1
    else
        local list, k = info[LIST], info[FILLED]
        for j = 0, jobs - 1 do
            list[k + 1] = fmt('%d', mode == 'l' and base - 1 - from - j
                                    or base + from + j)
            list[k + 2] = jobs == 1 and first == id and name
                          or fmt('%d', first + j)
            k = k + 2
        end
        info[FILLED] = k
    end
end
if id > id_was then
    records[1], records[2] = P .. 'seq', name
    if place > place_was then
        records[nrec + 1], records[nrec + 2] = P .. 'order',
                                               fmt('%d', place)
        nrec = nrec + 2
    end
    for i = 1, nrec, CHUNK do
        call('MSET', unpack(records, i, min(i + CHUNK - 1, nrec)))
    end
    if largest > known then
        call('HINCRBY', P .. 'config', 'largest',
             largest + HEAD - (config[3] or 0))
    end
end
local first
if sched then
    first = tonumber(call('ZRANGE', P .. 'scheduled', '0', '0',
                          'WITHSCORES')[2])
    for i = 1, nsched, CHUNK do
        call('ZADD', P .. 'scheduled',
             unpack(sched, i, min(i + CHUNK - 1, nsched)))
    end
end
for handler, info in pairs(seen) do
    local list, n = info[LIST], info[FILLED]
    local look = info[READY] > 0 and info[MEMBERS] == 0
    if info[LANES] then
        for name, lane in pairs(info[LANES]) do
            local key, length = P .. 'h:' .. handler .. ':lane:' .. name, 0
            for i = 1, #lane, CHUNK do
                length = call('RPUSH', key,
                              unpack(lane, i, min(i + CHUNK - 1, #lane)))
            end
            -- In the ready set a lane has the score of its best job.
            if length == #lane or mode == 'l' then
                list[n + 1] = fmt('%d', mode == 'l'
                                        and lane.base - 1 - lane.last
                                        or lane.base + lane.first)
                list[n + 2] = 'L' .. name
                n = n + 2
            elseif config[2] then
                -- not moved yet, from where its score depends on its end
                call('ZADD', P .. 'h:' .. handler .. ':ready:l', 'XX',
                     fmt('%d', MID - 1 - lane.last), 'L' .. name)
            end
        end
    end
    for i = 1, n, CHUNK do
        call('ZADD', info[SET], unpack(list, i, min(i + CHUNK - 1, n)))
    end
    if info[DUE] then
        call('HINCRBY', P .. 'stats', 'sch:' .. handler, info[SCHED])
        look = look or not first or info[DUE] < first
               or info[DUE] < now + WAKE_MAX_MS
    end
    if look then
        call('ZADD', P .. 'h:' .. handler .. ':wake', '0', 'w')
    end
    if info[READY] > 0 or info[DUE] then
        call('HINCRBY', P .. 'handlers', handler, info[READY] + info[SCHED])
    end
end
if keep then
    local ttl = fmt('%d', 1000 * (call('HGET', P .. 'config',
                                       'idempotency_ttl_s')
                                  or IDEMPOTENCY_TTL_S))
    for key, value in pairs(keep) do
        call('SET', key, value, 'PX', ttl)
    end
end
return answer

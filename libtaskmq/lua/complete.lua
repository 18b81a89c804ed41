#!lua flags=allow-oom
-- complete: jobs succeeded.
--
-- KEYS[1]  prefix
-- ARGV     per group of neighbours that have one lease token, and all have a
--          log or all have none:
--            "t<token, 28><jobs>", or "l..." where they have logs; the number
--              is left out for one job
--            then per job: id, result (JSON text or ""), after "l..." log
--              (text; "": what is there is kept)
--          so that most jobs have two arguments: each costs as much as a small
--          command does.
-- Returns  per job a verdict (integer): 0 ok, 1 already (this token completed
--          it before), 2 stale (not leased under this token), 3 gone (no job)
-- Errors   "ERR TASKMQ ..." for arguments that do not add up


-- The hot path has no functions (a closure costs as much as a command);
-- periodic jobs take the branch at the end.

--@include base
--@include now

local RETENTION_S, FINISHED_PACK = 86400, 100
local BOUNDS = { 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000,
                 60000, 300000 }

-- states and kinds
local RUNNING, ENDING, WAITING, SUCCEEDED, CANCELLED = 82, 69, 87, 83, 67
local OPTIONS, PERIODIC, SHARED = 111, 112, 43
-- what follows the lead of a run
local RUN = '^ [-%d]%d+ %d%d%d %d %d+ %d+ %d%d%d%d%d [^\n]*\n1[^\n]+\n'
-- kinds of groups
local NO_LOGS, LOGS = 116, 108

-- groups, by fours: token, where in argv the first id is, arguments per job,
-- the last job.
local keys, n, groups, ngroups, at = { false, false }, 0, nil, 0, 1
while argv[at] do
    local head = argv[at]
    local kind, jobs = byte(head), 1
    if #head ~= 29 then
        jobs = tonumber(match(head, '^%d+$', 30) or 0)
    end
    local width = kind == NO_LOGS and 2 or kind == LOGS and 3
    local last = at + jobs * (width or 0)
    if last == at or last > #argv then
        return redis.error_reply('ERR TASKMQ complete: argument ' .. at)
    end
    for i = at + 1, last, width do
        n = n + 1
        keys[n] = R .. argv[i]
    end
    if not groups then
        groups = { sub(head, 2, 29), at + 1, width, n }
    else
        groups[ngroups + 1], groups[ngroups + 2] = sub(head, 2, 29), at + 1
        groups[ngroups + 3], groups[ngroups + 4] = width, n
    end
    ngroups, at = ngroups + 4, last + 1
end
if n == 0 then
    return {}
end
local runs = call('MGET', unpack(keys, 1, min(n, CHUNK)))
for from = CHUNK + 1, n, CHUNK do
    local more = call('MGET', unpack(keys, from, min(from + CHUNK - 1, n)))
    for i = 1, #more do
        runs[from + i - 1] = more[i]
    end
end
local config = call('HMGET', P .. 'config', 'retention_s',
                    'finished_max_bytes')
local retention = config[1] or RETENTION_S
local expiry = fmt('%d', now + retention * 1000)

local answer, seen, periodic = { false }, {}, nil
local writes, nw, ids, nids = { false, false }, 0, { false }, 0
-- Neighbours with the same expiry are one pack: where it begins in ids.
local packs, expiries, npacks, pack_gone = { false, false }, { false }, 0, nil
-- Where claims shared a lease: token, or false, and where it begins in ids.
local shared, nshared = nil, 0
-- buckets, handlers: what is there beside the last ones
local success, took_sum, buckets, handlers = 0, 0, nil, nil
-- Neighbours were mostly claimed in one call: their runs begin with the same
-- state, token and start (the lead), and their headers in the same place.
local token, lead, h, took, bucket, in_bucket
local handler, name, of_handler
-- Often more is the same, up to byte 79 (prefix; head: what becomes of it), or
-- all (same; new: what was written for it, with the result new_result).
local middle, prefix, head, same, new, new_result, base

local done = 0
for g = 1, ngroups, 4 do
    local asked, at, width, last = groups[g], groups[g + 1], groups[g + 2],
                                   groups[g + 3]
    if asked ~= token then
        lead, prefix, same = '-', nil, nil
    end
    for i = done + 1, last do
        local id, run, verdict, equal, like = argv[at], runs[i], 0, nil, nil
        if run == same then
            equal = true
        elseif not run then
            verdict = call('EXISTS', J .. id) == 1 and 2 or 3
        elseif prefix and find(run, prefix, 1, true) == 1 then
            like = true
        elseif find(run, lead, 1, true) ~= 1 then
            local state = byte(run)
            if find(run, asked, 2, true) ~= 2
               or not find(run, RUN, 44)
            then
                verdict = 2
            elseif state ~= RUNNING and state ~= ENDING then
                verdict = (state == SUCCEEDED or state == CANCELLED
                           or state == WAITING
                              and byte(run, find(run, '\n', 100, true) + 2)
                                  == PERIODIC)
                          and 1 or 2
            else
                token, lead = asked, sub(run, 1, 43)
                if byte(run, 30) == SHARED or shared then
                    if not shared then
                        shared, nshared = { false, 1 }, 2
                    end
                    shared[nshared + 1] = byte(run, 30) == SHARED and token
                    shared[nshared + 2] = nids + 1
                    nshared = nshared + 2
                end
                h = find(run, '\n', 100, true) + 1
                middle, prefix, same = nil, nil, nil
                if bucket then
                    buckets = buckets or {}
                    buckets[bucket] = (buckets[bucket] or 0) + in_bucket
                    success = success + in_bucket
                    took_sum = took_sum + took * in_bucket
                end
                took, bucket, in_bucket = max(0, now - sub(run, 31, 43)), 1, 0
                while bucket < 15 and took > BOUNDS[bucket] do
                    bucket = bucket + 1
                end
            end
        end
        if verdict == 0 and seen[id] then
            verdict = 1
        elseif verdict == 0 then
            seen[id] = true
            in_bucket = in_bucket + 1
            local result, kind = argv[at + 1], not equal and byte(run, h + 1)
            if kind == PERIODIC then
                periodic = periodic or {}
                periodic[#periodic + 1] = { id, run, h, result }
            else
                if not equal then
                    local gone = expiry
                    if not name or find(run, name, h + 27, true) ~= h + 27 then
                        if name then
                            handlers = handlers or {}
                            handlers[handler] = (handlers[handler] or 0)
                                                + of_handler
                        end
                        handler = match(run, '^[^ \n]+', h + 27) or '?'
                        of_handler = 0
                        name = handler .. '\n'
                    end
                    if kind == OPTIONS then
                        local keep = match(run, '^[^\n]* k=(%d+)', h)
                        if keep then
                            gone = fmt('%d', now + keep * 1000)
                        end
                    end
                    if gone ~= pack_gone then
                        npacks, pack_gone = npacks + 1, gone
                        packs[npacks], expiries[npacks] = nids + 1, gone
                    end
                    if not like then
                        local was = middle
                        middle, prefix = sub(run, 44, 79), nil
                        if middle == was then
                            prefix = lead .. middle
                            head = 'S' .. sub(prefix, 2) .. now13
                        end
                    end
                    if like then
                        new = head .. sub(run, 93) .. result
                    else
                        new = 'S' .. sub(lead, 2) .. middle .. now13
                              .. sub(run, 93) .. result
                    end
                    same, new_result, base = run, result, nil
                elseif result ~= new_result then
                    base = base or 'S' .. sub(run, 2, 79) .. now13
                                   .. sub(run, 93)
                    new, new_result = base .. result, result
                end
                of_handler = of_handler + 1
                writes[nw + 1], writes[nw + 2] = keys[i], new
                nw = nw + 2
                nids = nids + 1
                ids[nids] = id
            end
            if width == 3 and argv[at + 2] ~= '' then
                writes[nw + 1], writes[nw + 2] = P .. 'l:' .. id, argv[at + 2]
                nw = nw + 2
            end
        end
        answer[i] = verdict
        at = at + width
    end
    done = last
end
if bucket then
    success = success + in_bucket
    took_sum = took_sum + took * in_bucket
end
if success == 0 then
    return answer
end

for i = 1, nw, CHUNK do
    call('MSET', unpack(writes, i, min(i + CHUNK - 1, nw)))
end
-- Leases: their own, or one that is shared: see lib/shared.lua.
local own, nown = ids, nids
if shared then
    own, nown = {}, 0
    shared[nshared + 2] = nids + 1
    for k = 1, nshared, 2 do
        local token, from, to = shared[k], shared[k + 1], shared[k + 3] - 1
        local left = token and to >= from
                     and call('HINCRBY', P .. 'shared', token, from - to - 1)
        if left == 0 then
            call('ZREM', P .. 'leased', 'T' .. token)
            call('HDEL', P .. 'shared', token)
            call('UNLINK', P .. 's:' .. token)
        elseif not left or left < 0 then
            if left then
                -- it was dissolved
                call('HDEL', P .. 'shared', token)
            end
            for i = from, to do
                nown = nown + 1
                own[nown] = ids[i]
            end
        end
    end
end
for i = 1, nown, CHUNK do
    call('ZREM', P .. 'leased', unpack(own, i, min(i + CHUNK - 1, nown)))
end
local fin, nf = { false, false }, 0
packs[npacks + 1] = nids + 1
for p = 1, npacks do
    local last = packs[p + 1] - 1
    for i = packs[p], last, FINISHED_PACK do
        fin[nf + 1] = expiries[p]
        fin[nf + 2] = table.concat(ids, ' ', i,
                                   min(i + FINISHED_PACK - 1, last))
        nf = nf + 2
    end
end
for i = 1, nf, CHUNK do
    call('ZADD', P .. 'finished', unpack(fin, i, min(i + CHUNK - 1, nf)))
end
if config[2] then
--@include bytes
    fin[nf + 1] = nil
    weigh(nf > 0 and fin or {})
end
local stats = P .. 'stats'
if handlers then
    handlers[handler] = (handlers[handler] or 0) + of_handler
    for handler, k in pairs(handlers) do
        call('HINCRBY', stats, 'left:' .. handler, k)
    end
elseif name then
    call('HINCRBY', stats, 'left:' .. handler,
         of_handler == 1 and '1' or of_handler)
end
if buckets then
    buckets[bucket] = (buckets[bucket] or 0) + in_bucket
    for d, k in pairs(buckets) do
        call('HINCRBY', stats, 'd' .. d - 1, k)
    end
else
    call('HINCRBY', stats, 'd' .. bucket - 1, in_bucket == 1 and '1'
                                              or in_bucket)
end
call('HINCRBY', stats, 'success', success == 1 and '1' or success)
call('HINCRBY', stats, 'duration_ms', took_sum)

if periodic then
--@include bulk
--@include order
--@include header
--@include shared
--@include batch
--@include run
    local RECORD_SMALL, longest = 20480, 0
    for _, p in ipairs(periodic) do
        local id, run, h, result = p[1], p[2], p[3], p[4]
        end_periodic(id, run, h, (handler_at(run, h)), sub(run, 2, 13),
                     error_of(run), result, retention)
        longest = max(longest, #sets[#sets])
    end
    -- A claim reads it again; see there.
    local known = call('HGET', P .. 'config', 'largest')
    if longest > tonumber(known or RECORD_SMALL) then
        call('HINCRBY', P .. 'config', 'largest', longest - (known or 0))
    end
    bump('success_periodic', #periodic)
    flush()
end
return answer

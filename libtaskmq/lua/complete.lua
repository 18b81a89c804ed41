#!lua flags=allow-oom
-- complete: jobs succeeded.
--
-- KEYS[1]  prefix
-- ARGV     per job: id, token (28), result (JSON text or ""), log (text; "":
--          keep what is there)
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
local OPTIONS, PERIODIC = 111, 112

local n = #argv / 4
if n ~= floor(n) then
    return redis.error_reply('ERR TASKMQ complete: number of arguments')
end
local retention = call('HGET', P .. 'config', 'retention_s') or RETENTION_S
local expiry = fmt('%d', now + retention * 1000)

local answer, seen, periodic = {}, {}, nil
local writes, nw, ids, nids = {}, 0, {}, 0
-- Neighbours with the same expiry are one pack: where it begins in ids.
local packs, expiries, npacks, pack_gone = {}, {}, 0, nil
local success, took_sum, buckets, handlers = 0, 0, {}, {}
-- Neighbours were mostly claimed in one call: their runs begin with the same
-- state, token and start (the lead), and their headers in the same place.
local token, lead, h, took, bucket, in_bucket = nil, nil, nil, nil, nil, 0
local handler, name, of_handler

for from = 0, n - 1, 1000 do
    local keys, m, a = {}, min(1000, n - from), 4 * from - 3
    for i = 1, m do
        keys[i] = R .. argv[a + 4 * i]
    end
    local runs = call('MGET', unpack(keys))
    for i = 1, m do
        a = a + 4
        local id, run, verdict = argv[a], runs[i], 0
        if not run then
            verdict = call('EXISTS', J .. id) == 1 and 2 or 3
        elseif argv[a + 1] ~= token or find(run, lead, 1, true) ~= 1 then
            local state = byte(run)
            if #argv[a + 1] ~= 28 or find(run, argv[a + 1], 2, true) ~= 2 then
                verdict = 2
            elseif state ~= RUNNING and state ~= ENDING then
                verdict = (state == SUCCEEDED or state == CANCELLED
                           or state == WAITING
                              and byte(run, find(run, '\n', 100, true) + 2)
                                  == PERIODIC)
                          and 1 or 2
            else
                token, lead = argv[a + 1], sub(run, 1, 43)
                h = find(run, '\n', 100, true) + 1
                if bucket then
                    buckets[bucket] = (buckets[bucket] or 0) + in_bucket
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
            success, took_sum = success + 1, took_sum + took
            local kind = byte(run, h + 1)
            if kind == PERIODIC then
                periodic = periodic or {}
                periodic[#periodic + 1] = { id, run, h, argv[a + 2] }
            else
                local gone = expiry
                if not name or find(run, name, h + 27, true) ~= h + 27 then
                    if name then
                        handlers[handler] = (handlers[handler] or 0)
                                            + of_handler
                    end
                    handler, of_handler = match(run, '^[^ \n]+', h + 27), 0
                    name = handler .. '\n'
                end
                of_handler = of_handler + 1
                if kind == OPTIONS then
                    local keep = match(run, '^[^\n]* k=(%d+)', h)
                    if keep then
                        gone = fmt('%d', now + keep * 1000)
                    end
                end
                writes[nw + 1] = keys[i]
                writes[nw + 2] = 'S' .. sub(run, 2, 79) .. now13
                                 .. sub(run, 93) .. argv[a + 2]
                nw = nw + 2
                nids = nids + 1
                ids[nids] = id
                if gone ~= pack_gone then
                    npacks, pack_gone = npacks + 1, gone
                    packs[npacks], expiries[npacks] = nids, gone
                end
            end
            if argv[a + 3] ~= '' then
                writes[nw + 1] = P .. 'l:' .. id
                writes[nw + 2] = argv[a + 3]
                nw = nw + 2
            end
        end
        answer[from + i] = verdict
    end
end
if success == 0 then
    return answer
end
buckets[bucket] = (buckets[bucket] or 0) + in_bucket
if name then
    handlers[handler] = (handlers[handler] or 0) + of_handler
end

for i = 1, nw, CHUNK do
    call('MSET', unpack(writes, i, min(i + CHUNK - 1, nw)))
end
for i = 1, nids, CHUNK do
    call('ZREM', P .. 'leased', unpack(ids, i, min(i + CHUNK - 1, nids)))
end
local fin, nf = {}, 0
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
local stats = P .. 'stats'
for handler, k in pairs(handlers) do
    call('HINCRBY', stats, 'run:' .. handler, -k)
end
for d, k in pairs(buckets) do
    call('HINCRBY', stats, 'd' .. d - 1, k)
end
call('HINCRBY', stats, 'success', success)
call('HINCRBY', stats, 'duration_ms', took_sum)

if periodic then
--@include bulk
--@include order
--@include header
--@include batch
--@include run
    for _, p in ipairs(periodic) do
        local id, run, h, result = p[1], p[2], p[3], p[4]
        end_periodic(id, run, h, (handler_at(run, h)), sub(run, 2, 13),
                     error_of(run), result, retention)
    end
    bump('success_periodic', #periodic)
    flush()
end
return answer

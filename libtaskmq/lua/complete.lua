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
--@include now lease

local NO_LOGS, LOGS, OPTIONS, PERIODIC = 116, 108, 111, 112
local RUNNING, ENDING, VERSION = 82, 69, 49

-- A table that begins with places for a few does not have to grow for them.
local answer, seen, n = { false }, {}, 0
local writes, nw, packs, np = { false, false }, 0, { false, false }, 0
-- How many jobs of each lease, handler and bucket ended; periodic ones.
local tokens, left, buckets, took_sum, periodic = {}, {}, {}, 0, nil
local config = call('HMGET', P .. 'config', 'retention_s',
                    'finished_max_bytes')
local usual = fmt('%d', now + (config[1] or TQ_RETENTION_DEFAULT_S) * 1000)
-- The open pack of finished jobs: ids, how many, when they expire.
local pack, npack, expires = { false }, 0, usual
-- How long a job took, and where that counts.
local took, bucket
local at = 1
while argv[at] do
    local head, jobs = argv[at], 1
    local width = byte(head) == NO_LOGS and 2 or byte(head) == LOGS and 3
    local token = sub(head, 2, 29)
    if #head ~= 29 then
        jobs = tonumber(match(head, '^%d+$', 30) or 0)
    end
    if not width or jobs < 1 or jobs > TQ_CLAIM_MAX
       or not argv[at + jobs * width]
    then
        return redis.error_reply('ERR TASKMQ complete: argument ' .. at)
    end
    local keys = { false }
    for k = 1, jobs do
        keys[k] = R .. argv[at + 1 + (k - 1) * width]
    end
    local runs = call('MGET', unpack(keys))
    for k = 1, jobs do
        local a = at + 1 + (k - 1) * width
        local id, run, verdict = argv[a], runs[k], 0
        local version, state, h, handler
        if run then
            version, state = byte(run, TQ_RUN_VERSION_FIRST, TQ_RUN_STATE_LAST)
            h = find(run, '\n1', TQ_RUN_NAME_FIRST, true) or #run
            handler = match(run, '^([^ \n]+)[^\n]*\n',
                            h + TQ_JOB_HANDLER_FIRST)
        end
        n = n + 1
        local kind = handler and byte(run, h + TQ_JOB_KIND_FIRST)
        local ours = run and find(run, token, TQ_RUN_TOKEN_FIRST, true)
                             == TQ_RUN_TOKEN_FIRST
        if not run then
            verdict = call('EXISTS', J .. id) == 1 and 2 or 3
        elseif not ours or version ~= VERSION or not handler then
            verdict = 2
        elseif state ~= RUNNING and state ~= ENDING then
            -- It ended well under this token, or was cancelled.
            verdict = find(run, kind == PERIODIC and '^[SCW]' or '^[SC]',
                           TQ_RUN_STATE_FIRST) and 1 or 2
        elseif seen[id] then
            verdict = 1
        else
            seen[id] = true
            took = max(0, now - sub(run, TQ_RUN_STARTED))
            -- No table of bounds: making it costs more.
            bucket = took <= 5 and 'd0' or took <= 10 and 'd1'
                     or took <= 25 and 'd2' or took <= 50 and 'd3'
                     or took <= 100 and 'd4' or took <= 250 and 'd5'
                     or took <= 500 and 'd6' or took <= 1000 and 'd7'
                     or took <= 2500 and 'd8' or took <= 5000 and 'd9'
                     or took <= 10000 and 'd10' or took <= 30000 and 'd11'
                     or took <= 60000 and 'd12' or took <= 300000 and 'd13'
                     or 'd14'
            buckets[bucket] = (buckets[bucket] or 0) + 1
            took_sum = took_sum + took
            if kind == PERIODIC then
                periodic = periodic or {}
                periodic[#periodic + 1] = { id, run, argv[a + 1] }
            else
                nw = nw + 2
                writes[nw - 1] = keys[k]
                writes[nw] = '1S' .. now13
                             .. sub(run, TQ_RUN_FINISHED_LAST + 1)
                             .. argv[a + 1]
                tokens[token] = (tokens[token] or 0) + 1
                left[handler] = (left[handler] or 0) + 1
                local keep = kind == OPTIONS
                             and match(run, '^[^\n]* k=(%d+)', h + 1)
                keep = keep and fmt('%d', now + keep * 1000) or usual
                if npack == TQ_FINISHED_PACK or npack > 0 and keep ~= expires
                then
                    packs[np + 1] = expires
                    packs[np + 2] = concat(pack, ' ', 1, npack)
                    np, npack = np + 2, 0
                end
                expires, npack = keep, npack + 1
                pack[npack] = id
            end
            if width == 3 and argv[a + 2] ~= '' then
                nw = nw + 2
                writes[nw - 1], writes[nw] = P .. 'l:' .. id, argv[a + 2]
            end
        end
        answer[n] = verdict
    end
    at = at + 1 + jobs * width
end
if not took then
    return n > 0 and answer or {}
end
if npack > 0 then
    packs[np + 1], packs[np + 2] = expires, concat(pack, ' ', 1, npack)
    call('ZADD', P .. 'finished', unpack(packs, 1, np + 2))
end
for i = 1, nw, CHUNK do
    call('MSET', unpack(writes, i, min(i + CHUNK - 1, nw)))
end
for token, ended in pairs(tokens) do
    leave_lease(token, ended)
end
for handler, ended in pairs(left) do
    call('HINCRBY', P .. 'stats', 'left:' .. handler, ended == 1 and '1' or ended)
end
for bucket, ended in pairs(buckets) do
    call('HINCRBY', P .. 'stats', bucket, ended == 1 and '1' or ended)
end
call('HINCRBY', P .. 'stats', 'duration_ms', fmt('%d', took_sum))

if periodic or config[2] then
--@include ends
    packs[np + 3] = nil
    weigh(npack > 0 and packs or {})
    for _, job in ipairs(periodic or {}) do
        local id, run, h = job[1], job[2], header_at(job[2])
        end_periodic(id, run, h, { counter = sub(run, TQ_RUN_COUNTER),
                                   result = job[3] })
    end
    bump('success_periodic', periodic and #periodic or 0)
    flush()
end
return answer

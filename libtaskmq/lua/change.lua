#!lua flags=allow-oom
-- change: what people do with a job.
--   cancel  ends one that has not run. A periodic one that runs finishes its run
--           and is then cancelled.
--   force   the same, but one that runs ends at once
--   retry   a dead one waits again, with a new budget, at the end of its lane
--   delete  it goes, wherever it is
-- The worker of one that runs no more is told.
--
-- KEYS[1]  prefix
-- ARGV     id, one of these words
-- Returns  0 ok, 1 already cancelled (or about to be), 2 conflict (cancel: runs,
--          or is finished; retry: not dead), 3 not found
--@include now ends unlink

local id, what = argv[1], argv[2]
local record = call('GETRANGE', J .. id, 0, 255)
-- Not with its result. Either may be damaged; a run has a copy of the header.
local run = call('GETRANGE', R .. id, 0, TQ_RUN_READ_BYTES)
local h = header_at(run)
local handler = h and handler_at(run, h) or handler_at(record, 0)
local state = run == '' and 'W' or sub(run, TQ_RUN_STATE)
local runs = state == 'R' or state == 'E'

-- The set that it leaves when all else is written; a lane or pack keeps its id.
local leaves
local function leave()
    if state == 'F' then
        leaves = 'dead'
        bump('dead:' .. handler, -1)
    elseif state == 'S' or state == 'C' then
        leaves = 'finished'
        bump('finished_gone', 1)
    else
        if call('ZSCORE', P .. 'scheduled', id) then
            leaves = 'scheduled'
            bump('sch:' .. handler, -1)
        end
        bump('back:' .. handler, -1)
    end
end

if record == '' then
    return 3
elseif what == 'delete' then
    if runs then
        run_over(sub(run, TQ_RUN_TOKEN), handler)
    else
        leave()
    end
    unlink({ id })
elseif what == 'retry' then
    if state ~= 'F' or not is_run(run) then
        return 2
    end
--@include lane
    leave()
    unweigh({ id })
    add(sets, R .. id, rewrite(run, { state = 'W', attempts = 0, crashes = 0 }))
    bump('back:' .. handler, 1)
    to_lanes(add_pack({}, handler, priority_at(run, h), id .. again), 'RPUSH')
elseif not is_header(record, 0) or run ~= '' and not is_run(run) then
    -- It ends as failed.
    return 2
elseif state == 'W' or runs and what == 'force' then
    if not runs then
        leave()
    end
    if run == '' then
        -- With one a claim passes by.
        run = '1W' .. NO_TIME .. ' ' .. NO_COUNTER .. '0000000000000000 '
              .. NO_TIME .. ' 000 0 0000000000 00000 \n'
              .. match(record, '^[^\n]*\n')
    end
    end_cancelled(id, run, header_at(run), {})
elseif state == 'R' and kind_at(run, h) == 'p' then
    call('SETRANGE', R .. id, TQ_RUN_STATE_FIRST - 1, 'E')
    return 0
else
    return (state == 'C' or state == 'E') and 1 or 2
end
flush()
if leaves then
    call('ZREM', P .. leaves, id)
end

if what == 'delete' then
    -- As long as an idempotency key may lead to it: it was not swept.
    local ttl = call('HGET', P .. 'config', 'idempotency_ttl_s')
                or TQ_IDEMPOTENCY_TTL_S
    local rest = max(ttl * 1000 + (tonumber(sub(record, TQ_JOB_CREATED)) or now),
                     call('HGET', P .. 'stats', 'keys_until') or 0) - now
    if rest > 0 then
        call('SET', P .. 'x:' .. id, '', 'PX', fmt('%d', rest))
    end
end
if runs then
    -- It looks at its leases.
    local key = P .. 'w:' .. sub(run, TQ_RUN_WORKER) .. ':wake'
    call('ZADD', key, now, id)
    call('EXPIRE', key, 60)
end
return 0

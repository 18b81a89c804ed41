#!lua flags=allow-oom
-- delete: removes a job wherever it is. The worker that runs it is told.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  0 ok, 3 not found

--@include base
--@include now
--@include unlink
--@include lease
--@include tell

local id = argv[1]
local record = call('GETRANGE', J .. id, 0, 127)
if record == '' then
    return 3
end
-- The record may be damaged: a run has a copy of its header.
local run, stats = call('GETRANGE', R .. id, 0, 255), P .. 'stats'
local state, h = sub(run, TQ_RUN_STATE), header_at(run)
local handler = h and handler_at(run, h) or handler_at(record, 0)

if state == 'R' or state == 'E' then
    leave_lease(sub(run, TQ_RUN_TOKEN), 1)
    call('HINCRBY', stats, 'left:' .. handler, 1)
    tell_worker(id, run)
elseif state == 'F' then
    call('ZREM', P .. 'dead', id)
    count_dead_out({ id })
elseif state == 'S' or state == 'C' then
    -- In a pack its id stays: it is never used again.
    call('ZREM', P .. 'finished', id)
    call('HINCRBY', stats, 'finished_gone', 1)
else
    wait_no_more(id, handler)
end
unlink({ id })
unweigh({ id })

-- enqueue must tell it from one whose time is over, as long as an idempotency
-- key may lead to it.
local ttl = call('HGET', P .. 'config', 'idempotency_ttl_s')
            or TQ_IDEMPOTENCY_TTL_S
local left = (tonumber(sub(record, TQ_JOB_CREATED)) or now) + ttl * 1000 - now
if left > 0 then
    call('SET', P .. 'x:' .. id, '', 'PX', fmt('%d', left))
end
return 0

#!lua flags=allow-oom
-- delete: removes a job wherever it is. The worker that runs it is told.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  0 ok, 3 not found

--@include base
--@include now
--@include bulk
--@include order
--@include header
--@include shared
--@include place
--@include bytes

local IDEMPOTENCY_TTL_S = 86400

local id = argv[1]
local head = call('GETRANGE', J .. id, 0, 95)
if head == '' then
    return 3
end
local handler = handler_at(head, 1)
local run = call('GETRANGE', R .. id, 0, 29)
local state = sub(run, 1, 1)

local function off(set, counter, n)
    if call('ZREM', P .. set, id) == 1 and counter then
        call('HINCRBY', P .. 'stats', counter .. handler, n)
    end
end

if state == 'R' or state == 'E' then
    if byte(run, 30) == 43 then
        end_shared(sub(run, 2, 29), { id })
        call('HINCRBY', P .. 'stats', 'left:' .. handler, 1)
    else
        off('leased', 'left:', 1)
    end
    tell_worker(id, run)
elseif state == 'F' then
    off('dead', 'dead:', -1)
elseif state == 'S' or state == 'C' then
    -- In a pack it stays: the id is never used again.
    off('finished')
    call('HINCRBY', P .. 'stats', 'finished_gone', '1')
else
    unwait(id, handler, run == '')
end
unweigh({ id })
unlink({ id })

-- enqueue must tell it from one whose time is over, as long as an idempotency
-- key may lead to it.
local ttl = call('HGET', P .. 'config', 'idempotency_ttl_s')
            or IDEMPOTENCY_TTL_S
local left = (tonumber(sub(head, 14, 26)) or now) + ttl * 1000 - now
if left > 0 then
    call('SET', P .. 'x:' .. id, '', 'PX', fmt('%d', left))
end
return 0

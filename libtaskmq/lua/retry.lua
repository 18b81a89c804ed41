#!lua flags=allow-oom
-- retry: a dead job waits again, with a new budget and a fresh place.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  0 ok, 2 conflict (not dead), 3 not found

--@include base
--@include now
--@include bulk
--@include order
--@include header
--@include shared
--@include batch
--@include run

local id = argv[1]
if call('EXISTS', J .. id) == 0 then
    return 3
end
local run = call('GET', R .. id)
if not run or sub(run, 1, 1) ~= 'F' or not is_run(run) or call('ZREM', P .. 'dead', id) == 0 then
    return 2
end
unweigh({ id })

local mode = sub(call('HGET', P .. 'config', 'selection') or 'p', 1, 1)
local h = header_at(run)
local handler = handler_at(run, h)
add(sets, R .. id, rewrite(run, 'W', NO_COUNTER, 0, 0,
                           tonumber(sub(run, 69, 78)), '0000000000000',
                           error_of(run), ''))
to_ready(id, score_of(mode, tonumber(sub(run, h + 3, h + 5)),
                      call('INCR', P .. 'order')), handler)
bump('dead:' .. handler, -1)
flush(mode)
return 0

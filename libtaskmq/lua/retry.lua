#!lua flags=allow-oom
-- retry: a dead job waits again, with a new budget, at the end of its lane.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  0 ok, 2 conflict (not dead), 3 not found

--@include base
--@include now
--@include run
--@include batch
--@include again
--@include unlink
--@include pack
--@include header

local id = argv[1]
local run = call('GET', R .. id)
if call('EXISTS', J .. id) == 0 then
    return 3
elseif not run or sub(run, TQ_RUN_STATE) ~= 'F' or not is_run(run) then
    return 2
end
local h = header_at(run)
local handler = handler_at(run, h)
call('ZREM', P .. 'dead', id)
unweigh({ id })
add(sets, R .. id, rewrite(run, { state = 'W', attempts = 0, crashes = 0 }))
bump('dead:' .. handler, -1)
bump('back:' .. handler, 1)
flush()
local lanes = {}
add_pack(lanes, handler, priority_at(run, h), id .. AGAIN)
to_lanes(lanes, 'RPUSH')
return 0

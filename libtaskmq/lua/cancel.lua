#!lua flags=allow-oom
-- cancel: ends a job that has not run; with force, also one that runs. A
-- running periodic job without force finishes its run and is then cancelled.
--
-- KEYS[1]  prefix
-- ARGV     id, force "0"/"1"
-- Returns  0 ok, 1 already cancelled (or about to be), 2 conflict (running
--          without force, or finished), 3 not found

--@include base
--@include now
--@include bulk
--@include order
--@include header
--@include shared
--@include batch
--@include run
--@include place

local id, force = argv[1], argv[2] == '1'
local head = call('GETRANGE', J .. id, 0, 255)
if head == '' then
    return 3
end
local retention = tonumber(call('HGET', P .. 'config', 'retention_s') or 86400)
local run = call('GET', R .. id)
local state, fresh = run and sub(run, 1, 1) or 'W', not run
if not is_header(head, 1) or run and not is_run(run) then
    -- It ends as failed.
    return 2
end

if state == 'C' then
    return 1
end
if state == 'S' or state == 'F' then
    return 2
end

if state == 'W' then
    if not run then
        run = 'W' .. NO_COUNTER .. '0000000000000000 0000000000000 '
              .. '00000000000000000 000 0 0000000000 0000000000000 00000 \n'
              .. sub(head, 1, find(head, '\n', 28, true))
    end
    local h = header_at(run)
    if not unwait(id, (handler_at(run, h)), fresh) then
        return 2
    end
    add(sets, R .. id, rewrite(run, 'C', NO_COUNTER,
                               tonumber(sub(run, 63, 65)),
                               tonumber(sub(run, 67, 67)),
                               tonumber(sub(run, 69, 78)), now13,
                               error_of(run), ''))
    to_finished(id, run, h, retention)
    bump('cancelled', 1)
    flush()
    return 0
end

local h = header_at(run)
if force then
    end_cancelled(id, run, h, (handler_at(run, h)), retention)
    flush()
    tell_worker(id, run)
    return 0
end
if state == 'E' then
    return 1
end
if not is_periodic(run, h) then
    return 2
end
call('SETRANGE', R .. id, 0, 'E')
return 0

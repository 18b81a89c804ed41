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
--@include cancelled
--@include header
--@include tell

local id, force = argv[1], argv[2] == '1'
local record = call('GETRANGE', J .. id, 0, 255)
if record == '' then
    return 3
end
local run = call('GET', R .. id)
if not is_header(record, 0) or run and not is_run(run) then
    -- It ends as failed.
    return 2
end
local state = run and sub(run, TQ_RUN_STATE) or 'W'

if state == 'C' then
    return 1
elseif state == 'S' or state == 'F' then
    return 2
elseif state == 'W' then
    -- In a lane its id stays; with this run a claim passes by.
    run = run or '1W' .. NO_TIME .. ' ' .. NO_COUNTER .. '0000000000000000 '
                 .. NO_TIME .. ' 000 0 0000000000 00000 \n'
                 .. match(record, '^[^\n]*\n')
    wait_no_more(id, handler_at(record, 0))
    end_cancelled(id, run, header_at(run))
    flush()
    return 0
elseif force then
    end_cancelled(id, run, header_at(run))
    flush()
    tell_worker(id, run)
    return 0
elseif state == 'E' then
    return 1
elseif not is_periodic(run, header_at(run)) then
    return 2
end
call('SETRANGE', R .. id, TQ_RUN_STATE_FIRST - 1, 'E')
return 0

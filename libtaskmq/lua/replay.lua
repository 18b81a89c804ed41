#!lua
-- replay: a new job from an old one's record: same fields, new id, created
-- now. A scheduled time in the past means now.
--
-- KEYS[1]  prefix
-- ARGV     id, dead only "0"/"1"
-- Returns  change (integer: 0 ok, 2 conflict: not dead, 3 not found), new id
--          (integer, 0: none)
-- Errors   "ERR TASKMQ ..." when there are too many handlers
--@include now header lane served schedule

local id, dead_only = argv[1], argv[2] == '1'
local record = call('GET', J .. id)
if not record then
    return { 3, 0 }
elseif not is_header(record, 0)
       or dead_only and call('GETRANGE', R .. id, TQ_RUN_STATE_FIRST - 1,
                             TQ_RUN_STATE_LAST - 1) ~= 'F'
then
    return { 2, 0 }
end
local handler = handler_at(record, 0)
if call('HEXISTS', P .. 'handlers', handler) == 0
   and call('HLEN', P .. 'handlers')
       >= TQ_HANDLERS_MAX * (is_served(handler) and 2 or 1)
then
    return redis.error_reply('ERR TASKMQ replay: too many handlers')
end

-- A scheduled time that has passed is left out: the copy runs now, and a
-- periodic one counts its interval from now.
local e = find(record, '\n', TQ_JOB_HANDLER_FIRST, true)
local kind, tail = kind_at(record, 0), sub(record, TQ_JOB_CREATED_LAST + 1, e)
local due = option(record, 0, 's') or 0
if due <= now then
    due, tail = 0, string.gsub(tail, ' s=%-?%d+', '')
    kind = kind == 'o' and not find(tail, '=', 1, true) and '-' or kind
end

-- Its place comes first: see enqueue.
local new = fmt('%.0f', seq + 1)
if due > 0 then
    schedule({ { due, new, handler } })
else
    to_lanes(add_pack({}, handler, priority_at(record, 0), new), 'RPUSH')
end
call('COPY', P .. 'b:' .. id, P .. 'b:' .. new)
call('MSET', P .. 'seq', order and new .. ' ' .. order or new, J .. new,
     sub(record, 1, 1) .. kind .. sub(record, 3, 13) .. now13 .. tail
     .. sub(record, e + 1))
call('HINCRBY', P .. 'handlers', handler, 1)
return { 0, tonumber(new) }

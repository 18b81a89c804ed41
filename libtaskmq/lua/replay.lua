#!lua
-- replay: a new job from an old one's record: same fields, new id, created
-- now. A scheduled time in the past means now.
--
-- KEYS[1]  prefix
-- ARGV     id, dead only "0"/"1"
-- Returns  change (integer: 0 ok, 2 conflict: not dead, 3 not found), new id
--          (integer, 0: none)

--@include base
--@include bad
--@include now
--@include bulk
--@include order
--@include header

local HANDLERS_MAX, GONE_MS = 1000, 60000

local id, dead_only = argv[1], argv[2] == '1'
local record = call('GET', J .. id)
if not record then
    return { 3, 0 }
end
if dead_only and call('GETRANGE', R .. id, 0, 0) ~= 'F' then
    return { 2, 0 }
end

if not is_header(record, 1) then
    return { 2, 0 }
end
local handler = handler_at(record, 1)
if call('HEXISTS', P .. 'handlers', handler) == 0 then
    -- as in enqueue
    local seen = tonumber(call('ZSCORE', P .. 'served', handler) or 0)
    local room = seen > now - GONE_MS and 2 * HANDLERS_MAX or HANDLERS_MAX
    if call('HLEN', P .. 'handlers') >= room then
        return bad('replay: too many handlers')
    end
end
local mode = sub(call('HGET', P .. 'config', 'selection') or 'p', 1, 1)

-- A scheduled time that has passed is left out: the copy runs now, and a
-- periodic one counts its interval from now.
local e = find(record, '\n', 28, true)
local kind, tail = sub(record, 2, 2), sub(record, 27, e)
local due = option(record, 1, 's') or 0
if due <= now then
    due = 0
    tail = string.gsub(tail, ' s=%d+', '')
    if kind == 'o' and not find(tail, '=', 1, true) then
        kind = '-'
    end
end

local new = fmt('%.0f', call('INCR', P .. 'seq'))
call('SET', J .. new, sub(record, 1, 1) .. kind .. sub(record, 3, 13) .. now13
                      .. tail .. sub(record, e + 1))
call('HINCRBY', P .. 'handlers', handler, 1)
if due > 0 then
    local first = tonumber(call('ZRANGE', P .. 'scheduled', 0, 0,
                                'WITHSCORES')[2])
    call('ZADD', P .. 'scheduled', due, new)
    call('HINCRBY', P .. 'stats', 'sch:' .. handler, 1)
    if not first or due < first then
        arm(handler)
    end
else
    local score = score_of(mode, tonumber(sub(record, 4, 6)),
                           call('INCR', P .. 'order'))
    call('ZADD', ready_key(handler, mode), score, new)
    arm(handler)
end
return { 0, tonumber(new) }

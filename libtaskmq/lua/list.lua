#!lua flags=no-writes
-- list: jobs, newest first. Walks at most 500 ids a call (two keys each, well
-- under 5 ms) and stops a page at 1 MiB, so a page may be short, even empty,
-- and still have a cursor.
--
-- KEYS[1]  prefix
-- ARGV     before (ids below this; 0: from the newest), state letter (P
--          pending, D of these: scheduled, R running, S, F, C, X: F or C;
--          "": any),
--          handler ("": any), limit
-- Returns  next before (integer, 0: the end), then per job: id (string),
--          record, run ("": never claimed), due (ms, integer; 0: not scheduled)
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base whole

local before, state, handler = tonumber(argv[1]), argv[2], argv[3]
local limit = tonumber(argv[4])
-- A run's first letter says the state; no run: pending.
local letters = ({ [''] = 'WRESFC', P = 'W', D = 'W', R = 'RE', S = 'S',
                   F = 'F', C = 'C', X = 'FC' })[state]
if not before or not limit or not letters then
    return redis.error_reply('ERR TASKMQ list: arguments')
end
local last = tonumber(match(call('GET', P .. 'seq') or '0', '^%d+'))
local id = (before == 0 or before > last) and last or before - 1

-- Whether the job is one of those that are asked for.
local function wanted(name)
    if handler ~= '' then
        local head = call('GETRANGE', J .. name, TQ_JOB_HANDLER_FIRST - 1,
                          TQ_JOB_HANDLER_FIRST - 1 + #handler)
        if sub(head, 1, #handler) ~= handler
           or not find(head, '^[ \n]', #handler + 1)
        then
            return false
        end
    end
    if state == '' then
        return true
    end
    local letter = sub(call('GETRANGE', R .. name, 0, TQ_RUN_STATE_LAST - 1),
                       TQ_RUN_STATE)
    return find(letters, letter == '' and 'W' or letter, 1, true)
           and (state ~= 'D' or call('ZSCORE', P .. 'scheduled', name))
end

local names, bytes, walked = {}, 0, 0
while id >= 1 and walked < TQ_LIST_WALK_MAX and #names < min(limit, TQ_LIST_MAX)
do
    local name = fmt('%.0f', id)
    local size = wanted(name) and call('STRLEN', J .. name) or 0
    if size > 0 then
        bytes = bytes + size + call('STRLEN', R .. name)
                + (tonumber(redis.pcall('STRLEN', P .. 'b:' .. name)) or 0)
        if bytes > TQ_LIST_PAGE_BYTES and #names > 0 then
            break
        end
        names[#names + 1] = name
    end
    id, walked = id - 1, walked + 1
end

local out = { id >= 1 and id + 1 or 0 }
for _, name in ipairs(names) do
    local k, got = #out, call('MGET', J .. name, R .. name)
    out[k + 1], out[k + 2], out[k + 3] = name, whole(name, got[1]), got[2] or ''
    out[k + 4] = tonumber(call('ZSCORE', P .. 'scheduled', name) or 0)
end
return out

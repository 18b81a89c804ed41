#!lua flags=no-writes
-- list: jobs, newest first. Walks at most 500 ids a call (under 5 ms) and stops at
-- 1 MiB, so a page may be short, even empty, and still have a cursor.
--
-- KEYS[1]  prefix
-- ARGV     before (ids below this; 0: from the newest), state letter (P
--          pending, D of these: scheduled, R running, S, F, C, X: F or C;
--          "": any), handler ("": any), limit
-- Returns  next before (integer, 0: the end), then per job: id (string),
--          record, run ("": never claimed), due (ms, integer; 0: not scheduled)
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

local before, state, handler = tonumber(argv[1]), argv[2], argv[3]
local limit = tonumber(argv[4])
-- A run's letter says the state; no run: pending.
local letters = ({ [''] = '', P = '^W', D = '^W', R = '^[RE]', S = '^S',
                   F = '^F', C = '^C', X = '^[FC]' })[state]
if not before or not limit or not letters then
    return redis.error_reply('ERR TASKMQ list: arguments')
end
local last = tonumber(match(call('GET', P .. 'seq') or '0', '^%d+'))
local id = (before == 0 or before > last) and last or before - 1

local out, bytes, walked, jobs = { 0 }, 0, 0, 0
limit = min(limit, TQ_LIST_MAX)
while id >= 1 and walked < TQ_LIST_WALK_MAX and jobs < limit do
    local name = fmt('%.0f', id)
    local record, run, aside = J .. name, R .. name, P .. 'b:' .. name
    local size = call('STRLEN', record)
    if size > 0
       and (handler == '' or handler == match(
                call('GETRANGE', record, TQ_JOB_HANDLER_FIRST - 1,
                     TQ_JOB_HANDLER_FIRST - 1 + #handler), '^[^ \n]*'))
       and find(call('GETRANGE', run, TQ_RUN_STATE_FIRST - 1,
                     TQ_RUN_STATE_LAST - 1) .. 'W', letters)
       and (state ~= 'D' or call('ZSCORE', P .. 'scheduled', name))
    then
        bytes = bytes + size + call('STRLEN', run)
                + (tonumber(redis.pcall('STRLEN', aside)) or 0)
        if bytes > TQ_LIST_PAGE_BYTES and jobs > 0 then
            break
        end
        local got, n = call('MGET', record, run, aside), #out
        out[n + 1], out[n + 2] = name, got[1] .. (got[3] or '')
        out[n + 3] = got[2] or ''
        out[n + 4] = tonumber(call('ZSCORE', P .. 'scheduled', name) or 0)
        jobs = jobs + 1
    end
    id, walked = id - 1, walked + 1
end
out[1] = id >= 1 and id + 1 or 0
return out

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

--@include base
--@include bad
--@include whole

local before, state, handler = tonumber(argv[1]), argv[2], argv[3]
local limit = tonumber(argv[4])
if not before or not limit then
    return bad('list: arguments')
end
limit = min(limit, TQ_LIST_MAX)
local last = tonumber(call('GET', P .. 'seq') or 0)
if before == 0 or before > last + 1 then
    before = last + 1
end

-- A run's first letter says the state; no run: pending.
local letters = ({ [''] = 'WRESFC', P = 'W', D = 'W', R = 'RE', S = 'S',
                   F = 'F', C = 'C', X = 'FC' })[state]
if not letters then
    return bad('list: state ' .. state)
end
local name_end = TQ_JOB_HANDLER_FIRST - 1 + #handler

local rows, bytes, walked = {}, 0, 0
local id = before - 1
while id >= 1 and walked < TQ_LIST_WALK_MAX and #rows < limit do
    walked = walked + 1
    local name = fmt('%.0f', id)
    local wanted = true
    if handler ~= '' then
        local head = call('GETRANGE', J .. name, TQ_JOB_HANDLER_FIRST - 1,
                          name_end)
        wanted = sub(head, 1, #handler) == handler
                 and find(head, '^[ \n]', #handler + 1)
    end
    if wanted and state ~= '' then
        local letter = sub(call('GETRANGE', R .. name, 0,
                                 TQ_RUN_STATE_LAST - 1), TQ_RUN_STATE)
        wanted = find(letters, letter == '' and 'W' or letter, 1, true)
                 and (state ~= 'D' or call('ZSCORE', P .. 'scheduled', name))
    end
    if wanted then
        local size = call('STRLEN', J .. name)
        if size > 0 then
            bytes = bytes + size + call('STRLEN', R .. name)
                    + call('STRLEN', P .. 'b:' .. name)
            if bytes > TQ_LIST_PAGE_BYTES and #rows > 0 then
                break
            end
            rows[#rows + 1] = name
        end
    end
    id = id - 1
end

local out = { id >= 1 and id + 1 or 0 }
local n = #rows
if n > 0 then
    local keys = {}
    for i = 1, n do
        keys[i], keys[n + i] = J .. rows[i], R .. rows[i]
    end
    local got = call('MGET', unpack(keys))
    local dues = call('ZMSCORE', P .. 'scheduled', unpack(rows))
    for i = 1, n do
        local k = #out
        out[k + 1], out[k + 2] = rows[i], whole(rows[i], got[i])
        out[k + 3] = got[n + i] or ''
        out[k + 4] = tonumber(dues[i] or 0)
    end
end
return out

#!lua flags=allow-oom
-- recover: after a reconnect, releases the leases of this worker id that it
-- does not hold (a claim whose reply was lost), uncounted. In pages.
--
-- KEYS[1]  prefix
-- ARGV     worker id, cursor (0: start), then the ids it holds
-- Returns  next cursor (integer, 0: done; 1: as at the start), released
--          (integer)

--@include base
--@include bad
--@include now
--@include bulk
--@include order
--@include header
--@include shared
--@include batch
--@include run

local PAGE, DISSOLVE_MAX = 1000, 1000

local worker, cursor = argv[1], argv[2]
if not worker or not tonumber(cursor) then
    return bad('recover: arguments')
end
local config = call('HMGET', P .. 'config', 'selection', 'retention_s')
local mode = sub(config[1] or 'p', 1, 1)
local retention = tonumber(config[2] or 86400)

-- Shared leases become the jobs' own first, some at a time.
local tokens, looked = call('HKEYS', P .. 'shared'), 0
for i = 1, #tokens do
    if sub(tokens[i], 13) == worker then
        if looked >= DISSOLVE_MAX then
            return { 1, 0 }
        end
        looked = looked + dissolve(tokens[i])
    end
end

local held = {}
for i = 3, #argv do
    held[argv[i]] = true
end

-- A page is what has the next expiry times: extending others' leases moves
-- them behind it, never in front. Jobs of one claim share their time, so a
-- page ends only where the time changes.
local page = call('ZRANGEBYSCORE', P .. 'leased', '(' .. cursor, '+inf',
                  'WITHSCORES', 'LIMIT', 0, PAGE)
local ids, last = {}, nil
for i = 1, #page, 2 do
    ids[#ids + 1] = page[i]
    last = page[i + 1]
end
if #ids == PAGE then
    local seen = {}
    for i = 1, PAGE do
        seen[ids[i]] = true
    end
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'leased', last, last)) do
        if not seen[id] then
            ids[#ids + 1] = id
        end
    end
else
    last = 0
end

local released = 0
for i = 1, #ids do
    local id = ids[i]
    if not held[id] and call('GETRANGE', R .. id, 13, 28) == worker then
        local run = call('GET', R .. id)
        if find(run, '^[RE]') and is_run(run) then
            local h = header_at(run)
            local handler = handler_at(run, h)
            if sub(run, 1, 1) == 'E' then
                end_cancelled(id, run, h, handler, retention)
            else
                give_back(id, run, h, handler, tonumber(sub(run, 67, 67)),
                          mode)
            end
            released = released + 1
        end
    end
end
flush(mode)
return { tonumber(last), released }

#!lua flags=allow-oom
-- extend: a worker's heartbeat, and one lease extension for all its jobs. An
-- expired lease that nobody reaped can still be extended.
--
-- KEYS[1]  prefix
-- ARGV     worker id, name, info (JSON text), lease ms, number of handlers, the
--          handlers, then per job: id, token (28)
-- Returns  per job a verdict: 0 ok, 2 stale, 3 gone (deleted), 4 cancelled
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base
--@include bad
--@include now
--@include bulk
--@include shared

local worker, name, info = argv[1], argv[2], argv[3]
local lease, nhandlers = tonumber(argv[4]), tonumber(argv[5])
local n = nhandlers and (#argv - 5 - nhandlers) / 2
if not lease or not n or n < 0 or n ~= floor(n) then
    return bad('extend: arguments')
end

-- tokens: of shared leases: the ids to extend, and how many
local answer, leases, tokens = {}, {}, {}
for i = 1, n do
    local a = 4 + nhandlers + 2 * i
    local id, token = argv[a], argv[a + 1]
    local run = call('GETRANGE', R .. id, 0, 29)
    local state, held = sub(run, 1, 1), sub(run, 2, 29)
    if run == '' then
        answer[i] = call('EXISTS', J .. id) == 1 and 2 or 3
    elseif held == token and (state == 'R' or state == 'E') then
        if byte(run, 30) == 43 then
            local some = tokens[token] or { ids = {}, n = 0 }
            tokens[token] = some
            some.n = some.n + (some.ids[id] and 0 or 1)
            some.ids[id] = true
        else
            leases[#leases + 1] = now + lease
            leases[#leases + 1] = id
        end
        answer[i] = 0
    elseif state == 'C' and held == NO_COUNTER .. worker then
        -- taken away by cancel
        answer[i] = 4
    else
        answer[i] = 2
    end
end

-- A shared lease is extended for all its jobs that run, or dissolved.
for token, some in pairs(tokens) do
    local left = tonumber(call('HGET', P .. 'shared', token))
    if left == some.n then
        leases[#leases + 1] = now + lease
        leases[#leases + 1] = 'T' .. token
    else
        if left then
            dissolve(token)
        end
        for id in pairs(some.ids) do
            leases[#leases + 1] = now + lease
            leases[#leases + 1] = id
        end
    end
end
bulk('ZADD', P .. 'leased', leases)
call('HSET', P .. 'workers', worker, now13 .. ' ' .. name .. ' ' .. info)
local served = {}
for i = 1, nhandlers do
    served[2 * i - 1], served[2 * i] = now, argv[5 + i]
end
bulk('ZADD', P .. 'served', served)
return answer

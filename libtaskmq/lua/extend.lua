#!lua flags=allow-oom
-- extend: a worker's heartbeat, and its leases extended, also expired ones. Jobs
-- under its leases that it does not name go back, uncounted: it lacks them.
--
-- KEYS[1]  prefix
-- ARGV     worker id, name, info (JSON text), lease ms, all ("1": leases of this
--          worker that are not named end, too; only while no claim is under
--          way), number of handlers, the handlers, then per lease: "<token, 28>
--          <jobs>" without the blank, and their ids
-- Returns  given back, more (1: call again), then per job a verdict: 0 ok, 2
--          stale, 3 gone (deleted), 4 cancelled; integers
-- Errors   "ERR TASKMQ ..." for arguments that do not add up
--@include now back

local worker, name, info, all = argv[1], argv[2], argv[3], argv[5] == '1'
local lease, at = tonumber(argv[4]), 7 + (tonumber(argv[6]) or #argv)
if not lease or at > #argv + 1 then
    return redis.error_reply('ERR TASKMQ extend: arguments')
end

-- leases: expiry and token of each that goes on; named: tokens; held: jobs of the
-- lease in hand that the worker has; lost: id and run of those that it has not
local answer, leases, named, held, lost = { 0, 0 }, {}, {}, {}, {}

local function lose(id, run)
    if not held[id] and is_run(run) then
        add(lost, id, run)
    end
end

local served = {}
for i = 7, at - 1 do
    add(served, now, argv[i])
end
while argv[at] do
    local token, jobs = sub(argv[at], 1, 28), match(argv[at], '^%d+$', 29)
    if not jobs or not argv[at + jobs] or named[token] then
        return redis.error_reply('ERR TASKMQ extend: argument ' .. at)
    end
    local nheld = 0
    held = {}
    for i = at + 1, at + jobs do
        local run = call('GETRANGE', R .. argv[i], 0, TQ_RUN_TOKEN_LAST - 1)
        local verdict = verdict_of(argv[i], run, token, worker)
        answer[#answer + 1] = verdict == 1 and 2 or verdict
        if verdict == 0 and not held[argv[i]] then
            held[argv[i]], nheld = true, nheld + 1
        end
    end
    local left = tonumber(call('GETRANGE', P .. 't:' .. token, 0, 3)) or 0
    if left > nheld then
        each_running(token, lose)
    end
    if nheld > 0 then
        add(leases, now + lease, token)
    end
    named[token], at = true, at + jobs + 1
end
for _, token in ipairs(all and call('ZRANGE', P .. 'leased', 0, -1) or {}) do
    if sub(token, 13) == worker and not named[token] then
        if #lost >= 2 * TQ_REAP_MAX then
            answer[2] = 1
            break
        end
        held = {}
        each_running(token, lose)
    end
end
bulk(leases, 'ZADD', P .. 'leased')
bulk(served, 'ZADD', P .. 'served')
call('HSET', P .. 'workers', worker, now13 .. ' ' .. name .. ' ' .. info)
for i = 1, #lost, 2 do
    give_back(lost[i], lost[i + 1])
end
put_back()
answer[1] = #lost / 2
return answer

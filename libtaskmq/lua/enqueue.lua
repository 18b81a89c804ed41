#!lua
-- enqueue: stores jobs, in groups, each all or none: requests share a call.
--
-- KEYS[1]  prefix, "{ns}:"
-- ARGV     per group:
--            "g<jobs> <hash> <known> <key>", left out where it would say
--              "g1 ... 0 ", as for most requests: each argument costs as
--              much as a command does.
--              jobs: their number (>= 1); hash: of the body, 16 hex; known:
--              "1" refuses handlers that no live worker serves, else "0"; key:
--              "<len of scope>:<scope>:<idempotency key>", or ""
--            then per job:
--              kind: bytes 1-13 of the record, due (ms; 0, or in the past:
--                now), "@" where the payload is aside, a blank, handler. Jobs
--                of one kind share its reading.
--              tail: bytes 27 to the end of the record (from the blank after
--                the created time on); where the payload is aside: a name, hex,
--                then these without the payload, which is in b:<name>
-- Returns  per group an outcome (integer): the first job id (ids follow each
--          other), or -1 the key was used with another body, -2 too many
--          handlers, -3 no worker serves a handler, -4 a payload's b:<name> is
--          not there
-- Errors   "ERR TASKMQ ..." for arguments that do not add up; nothing is
--          written then. Without allow-oom: a full Redis refuses it whole.
--@include now lane

local GROUP = 103

local id, id_text, at = seq + 0, nil, 1
if id + #argv > TQ_ID_MAX then
    return redis.error_reply('ERR TASKMQ enqueue: out of numbers')
end

-- kind -> { handler, due or false, the record up to its tail, lane, payload is
-- aside }; lanes: see to_lanes; handler -> jobs
local kinds, lanes, received = { _ = nil }, { _ = nil }, { _ = nil }
-- A table that begins with places for a few does not have to grow for them.
local records, nrec = { P .. 'seq', false, false, false }, 2
local answer, na = { false }, 0
-- Where needed: handler -> true while it is not registered, how many are, what is
-- scheduled, idempotency key -> what u:<key> says, b:<name> -> its id, or false
local new, registered, sched, used, payloads
-- The open pack: its lane, its first id, that as text, its jobs.
local open, first, first_text, jobs

while argv[at] do
    local n, hash, known, key, outcome = 1, nil, '0', '', nil
    if byte(argv[at]) == GROUP then
        n, hash, known, key = match(argv[at], '^g(%d+) (%x+) ([01]) (.*)$')
        n, at = tonumber(n or 0), at + 1
    end
    local last, text, kind, names = at + 2 * n - 1, nil, nil, nil
    if n < 1 or not argv[last] then
        return redis.error_reply('ERR TASKMQ enqueue: argument ' .. at)
    end
    -- All checks come before this group's first row.
    local use = key ~= '' and (used and used[key] or call('GET', P .. 'u:' .. key))
    if use then
        local id, was = match(use, '^(%d+) (.*)$')
        -- Free when all was deleted; of another body only the first is known.
        local keys = {}
        for i = 1, was == hash and n or 1 do
            keys[i] = fmt('%sx:%d', P, id + i - 1)
        end
        if call('EXISTS', unpack(keys)) < #keys then
            outcome = was == hash and tonumber(id) or -1
        end
    end
    for i = at, last, 2 do
        if argv[i] ~= text then
            text = argv[i]
            kind = kinds[text]
            if not kind then
                local head, priority, due, aside, handler =
                    match(text, '^(...(...).......)(%d+)(@?) (.+)$')
                if not head then
                    return redis.error_reply('ERR TASKMQ enqueue: argument '
                                             .. i)
                end
                local lane = P .. 'h:' .. handler .. ':lane:' .. priority
                lanes[lane] = lanes[lane]
                              or { nil, handler = handler, priority = priority }
                if not received[handler] then
                    received[handler] = 0
                    if call('HEXISTS', P .. 'handlers', handler) == 0 then
                        new = new or {}
                        new[handler] = true
                    end
                end
                due = due ~= '0' and tonumber(due) > now and tonumber(due)
                kind = { handler, due, head .. now13, lanes[lane],
                         aside ~= '' }
                kinds[text] = kind
            end
            local handler = kind[1]
            if new and new[handler] then
                names = names or {}
                names[handler] = true
            end
            if known == '1' and not outcome then
--@include served
                outcome = not is_served(handler) and -3 or nil
            end
        end
        if kind[5] then
            local name = match(argv[i + 1], '^%x+') or ''
            payloads = payloads or {}
            payloads[name] = payloads[name] or false
            if not outcome and call('EXISTS', P .. 'b:' .. name) == 0 then
                outcome = -4
            end
        end
    end
    if names and not outcome then
--@include served
        registered = registered or call('HLEN', P .. 'handlers')
        local n, most = registered, 2 * TQ_HANDLERS_MAX
        for handler in pairs(names) do
            n, most = n + 1, is_served(handler) and most or TQ_HANDLERS_MAX
        end
        outcome = n > most and -2 or nil
        registered = outcome and registered or n
        for handler in pairs(names) do
            new[handler] = outcome and true
        end
    end
    na = na + 1
    answer[na] = outcome or id + 1
    if outcome then
        at = last + 1
    elseif key ~= '' then
        used = used or {}
        used[key] = fmt('%d %s', id + 1, hash)
    end

    while at < last do
        local kind, tail = kinds[argv[at]], argv[at + 1]
        local handler, due, lane = kind[1], kind[2], kind[4]
        id, nrec, at = id + 1, nrec + 2, at + 2
        id_text = fmt('%d', id)
        if kind[5] then
            local space = find(tail, ' ', 2, true)
            payloads[sub(tail, 1, space - 1)] = id_text
            tail = sub(tail, space)
        end
        records[nrec - 1], records[nrec] = J .. id_text, kind[3] .. tail
        received[handler] = received[handler] + 1
        if due then
            sched = sched or {}
            sched[#sched + 1] = { due, id_text, handler }
        elseif lane == open and id == first + jobs then
            jobs = jobs + 1
        else
            if open then
                open[#open + 1] = jobs > 1 and fmt('%s %d', first_text, jobs)
                                  or first_text
            end
            open, first, first_text, jobs = lane, id, id_text, 1
        end
    end
end

if payloads then
    for name, id in pairs(payloads) do
        if id then
            call('RENAME', P .. 'b:' .. name, P .. 'b:' .. id)
            call('PERSIST', P .. 'b:' .. id)
        else
            call('UNLINK', P .. 'b:' .. name)
        end
    end
end
if nrec == 2 then
    return na > 0 and answer or {}
end
if open then
    open[#open + 1] = jobs > 1 and fmt('%s %d', first_text, jobs) or first_text
end
records[2] = order and id_text .. ' ' .. order or id_text
if nrec == 2 * id + 2 then
    -- A new namespace, or one that was emptied.
    call('SET', P .. 'schema', TQ_SCHEMA)
end
-- Where a command is refused on the way (a right that was taken away), a lane
-- names an id that the next job gets; no job is without its place or its key.
if sched then
--@include schedule
    schedule(sched)
end
to_lanes(lanes, 'RPUSH')
if used then
    for key, value in pairs(used) do
        records[nrec + 1], records[nrec + 2] = P .. 'u:' .. key, value
        nrec = nrec + 2
    end
end
for i = 1, nrec, CHUNK do
    call('MSET', unpack(records, i, min(i + CHUNK - 1, nrec)))
end
for handler, n in pairs(received) do
    if n > 0 then
        call('HINCRBY', P .. 'handlers', handler, n == 1 and '1' or n)
    end
end
if used then
    local ttl = call('HGET', P .. 'config', 'idempotency_ttl_s')
                or TQ_IDEMPOTENCY_TTL_S
    for key in pairs(used) do
        call('EXPIRE', P .. 'u:' .. key, max(1, ttl))
    end
end
return answer

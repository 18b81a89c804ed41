-- lease: the records of the jobs just selected, and their runs. A part of
-- claim. Adds to writes, leases, out, claimed and dropped; short: how many wait
-- no more, after which all are looked at before they are selected.

if not counter then
    counter = fmt('%012x', call('INCR', P .. 'claims'))
    shared = n >= SHARED_JOBS
    lead = 'R' .. counter .. worker .. (shared and '+' or ' ') .. now13 .. ' '
    expiry = fmt('%d', now + lease)
end
local front, owner, was = nil, nil, nl
local short, again = 0, nil
-- What waits in a lane has no run.
local width = 1
for k = max(part, 0), np, 5 do
    if not parts[k + 4] then
        width = 2
    end
end
while done < n do
    -- As many at once as surely fit, then one by one; what is larger than all
    -- comes alone.
    local room = REPLY_BYTES - bytes
    local m = floor(room / (width * largest))
    if m < 2 then
        m = 1
        if nl > 0 then
            local id = jobs[done + 1]
            local size = call('STRLEN', J .. id)
            if width == 2 then
                size = size + call('STRLEN', R .. id)
            end
            if size > room then
                break
            end
        end
    end
    m = min(m, PER_GET, n - done)
    local keys = { false, false }
    if width == 1 then
        for k = 1, m do
            keys[k] = J .. jobs[done + k]
        end
    else
        for k = 1, m do
            local id = jobs[done + k]
            keys[2 * k - 1], keys[2 * k] = J .. id, R .. id
        end
    end
    local got = call('MGET', unpack(keys, 1, width * m))
    for k = width, width * m, width do
        done = done + 1
        if not front or done > parts[part + 5] then
            if owner and nl > was then
                claimed[owner] = (claimed[owner] or 0) + (nl - was) / 2
            end
            while part < 0 or done > parts[part + 5] do
                part = part + 5
            end
            was, owner = nl, parts[part + 1]
            front = fmt('%017d', parts[part + 3])
        end
        local id, record, run = jobs[done], got[k], nil
        if width == 2 then
            record, run = got[k - 1], record
        end
        local header, bad
        if record then
            header = sub(record, 1, find(record, '\n', 28, true) or 0)
            if not heads[header] then
                if find(header, HEAD) then
                    heads[header] = true
                else
                    bad = 'record'
                end
            end
            if run and not find(run, RUN) then
                bad = 'last run'
            end
        end
        if record and not bad then
            local attempts = 0
            if run then
                local e = find(run, '\n', find(run, '\n', 100, true) + 28,
                               true)
                bytes = bytes + #run
                attempts = tonumber(sub(run, 63, 65))
                run = lead .. front .. ' ' .. sub(run, 63, 79)
                      .. AGAIN .. sub(run, 94, 99) .. name .. '\n'
                      .. header
                      .. sub(run, e + 1, e + tonumber(sub(run, 94, 98)))
            else
                run = lead .. front .. FIRST_RUN .. name .. '\n' .. header
            end
            writes[nl + 1], writes[nl + 2] = R .. id, run
            nl = nl + 2
            leases[nl / 2] = id
            out[nout + 1], out[nout + 2], out[nout + 3] = id, attempts,
                                                          record
            nout = nout + 3
            bytes = bytes + #record
            if #record > largest then
                largest = #record
            end
        else
            -- Evicted, or ended here.
            short = short + 1
            again = again or {}
            again[owner] = (again[owner] or 0) + 1
            local drop = dropped[owner] or { stale = 0, gone = 0 }
            drop.gone, dropped[owner] = drop.gone + 1, drop
            if bad then
--@include unreadable
                unreadable(id, argv[owner], bad)
            else
                lost = lost or {}
                lost[#lost + 1] = R .. id
                lost[#lost + 1] = P .. 'l:' .. id
            end
        end
    end
end
if owner and nl > was then
    claimed[owner] = (claimed[owner] or 0) + (nl - was) / 2
end
if again then
    check = true
    for k = 1, nsources do
        local source = sources[k]
        source[LEFT] = source[LEFT] + (again[source[OWNER]] or 0)
    end
end

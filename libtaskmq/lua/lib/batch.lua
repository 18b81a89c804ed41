-- batch: what became of jobs, collected, and written by flush with one command
-- of each kind.

--@include schedule lease bytes

-- Calls the command, with its key where it has one, and the list, CHUNK elements
-- at a time.
local function bulk(list, ...)
    for i = 1, #list, CHUNK do
        local words = { ... }
        for k = i, min(i + CHUNK - 1, #list) do
            words[#words + 1] = list[k]
        end
        call(unpack(words))
    end
end

-- Pairs: key, value; score, member. sched: see lib/schedule.lua. bumps: counter
-- -> by how much; left: token -> how many of its jobs run no more.
local sets, dead, fin, sched, bumps, left = {}, {}, {}, {}, {}, {}

local function bump(name, n)
    bumps[name] = (bumps[name] or 0) + n
end

local function add(list, a, b)
    local n = #list
    list[n + 1], list[n + 2] = a, b
end

-- A run is over, however.
local function run_over(token, handler)
    left[token] = (left[token] or 0) + 1
    bump('left:' .. handler, 1)
end

local function to_sched(id, due, handler)
    sched[#sched + 1] = { due, id, handler }
    bump('back:' .. handler, 1)
end

-- Writes all of it. Where a command is refused on the way (a right that was taken
-- away), a job is to be in one place too many, and not in none; and a lease of
-- jobs that run no more, which are counted, ends with its time.
local function flush()
    bulk(fin, 'ZADD', P .. 'finished')
    bulk(dead, 'ZADD', P .. 'dead')
    if #sched > 0 then
        schedule(sched)
    end
    bulk(sets, 'MSET')
    for name, n in pairs(bumps) do
        if n ~= 0 then
            call('HINCRBY', P .. 'stats', name, n)
        end
    end
    for token, n in pairs(left) do
        leave_lease(token, n)
    end
    weigh(fin)
    weigh(dead)
end

-- batch: what became of jobs, collected, and written by flush with one command
-- of each kind.

--@include base
--@include bulk
--@include lanes
--@include schedule
--@include lease
--@include bytes

-- Pairs: key, value; score, member. bumps: counter -> by how much.
local sets, dead, fin, bumps = {}, {}, {}, {}
-- See lib/schedule.lua; lanes, see lib/lanes.lua, of jobs that go back; token ->
-- how many run no more.
local sched, back, left = {}, {}, {}

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

-- One of the next ones of its lane, at its place.
local function to_be_next(id, handler, priority)
    add_pack(back, handler, priority, id .. ' 1 ' .. id)
    bump('back:' .. handler, 1)
end

-- Writes all of it.
local function flush()
    bulk('MSET', nil, sets)
    for token, n in pairs(left) do
        leave_lease(token, n)
    end
    bulk('ZADD', P .. 'finished', fin)
    if #sched > 0 then
        schedule(sched)
    end
    to_lanes(back, true)
    bulk('ZADD', P .. 'dead', dead)
    if #fin + #dead > 0 and is_weighed() then
        weigh(fin)
        weigh(dead)
    end
    for name, n in pairs(bumps) do
        if n ~= 0 then
            call('HINCRBY', P .. 'stats', name, n)
        end
    end
end

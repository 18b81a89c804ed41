-- batch: what a script decided, collected and written at the end with one
-- variadic command of each kind.

--@include bytes

local sets, unlease, sched, dead, fin = {}, {}, {}, {}, {}
local readies, bumps, shared = {}, {}, {}
local due_min, due_handler

local function bump(name, n)
    bumps[name] = (bumps[name] or 0) + n
end

local function add(list, a, b)
    local n = #list
    list[n + 1] = a
    list[n + 2] = b
end

local function to_sched(id, due, handler)
    add(sched, due, id)
    bump('sch:' .. handler, 1)
    bump('back:' .. handler, 1)
    if not due_min or due < due_min then
        due_min, due_handler = due, handler
    end
end

local function to_ready(id, score, handler)
    local list = readies[handler]
    if not list then
        list = {}
        readies[handler] = list
    end
    add(list, score, id)
    bump('back:' .. handler, 1)
end

-- Drops the dead jobs that would go first, when there are too many. Bounded:
-- after dead_max was lowered it takes several calls.
local function trim_dead(dead_max)
    local over = call('ZCARD', P .. 'dead') - dead_max
    if over <= 0 then
        return
    end
    local got = call('ZPOPMIN', P .. 'dead', min(over, max(#dead, 200)))
    local ids = {}
    for i = 1, #got, 2 do
        local handler = handler_of(got[i])
        if handler then
            bump('dead:' .. handler, -1)
        end
        ids[#ids + 1] = got[i]
        if #ids == 1000 then
            unweigh(ids)
            unlink(ids)
            ids = {}
        end
    end
    unweigh(ids)
    unlink(ids)
    bump('dead_dropped', #got / 2)
end

-- A handler's wake key is armed whenever its jobs came back, and when the
-- earliest due time became earlier. mode: needed where jobs went to ready;
-- dead_max: where jobs went to dead.
local function flush(mode, dead_max)
    mset(sets)
    bulk('ZREM', P .. 'leased', unlease)
    for token, ids in pairs(shared) do
        end_shared(token, ids)
    end
    bulk('ZADD', P .. 'finished', fin)
    weigh(fin)
    if due_min then
        local first = call('ZRANGE', P .. 'scheduled', 0, 0, 'WITHSCORES')
        if #first == 0 or due_min < tonumber(first[2]) then
            arm(due_handler)
        end
        bulk('ZADD', P .. 'scheduled', sched)
    end
    for handler, list in pairs(readies) do
        bulk('ZADD', ready_key(handler, mode), list)
        arm(handler)
    end
    if dead_max then
        bulk('ZADD', P .. 'dead', dead)
        weigh(dead)
        trim_dead(dead_max)
    end
    for name, n in pairs(bumps) do
        if n ~= 0 then
            call('HINCRBY', P .. 'stats', name, n)
        end
    end
end

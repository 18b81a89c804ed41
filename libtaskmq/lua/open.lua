--plain
-- open: the schema of a namespace, before it is used. A new one gets ours.
-- Plain: of a full Redis, or a replica, it may be read all the same.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  the schema (integer; 1: of a TaskMQ that did not write it down)

--@include base

local schema = call('GET', P .. 'schema')
if not schema then
    if call('EXISTS', P .. 'seq') == 1 then
        return 1
    end
    -- A full Redis allows this, and then the rest of a script that has begun to
    -- write.
    call('DEL', P .. 'schema')
    call('SET', P .. 'schema', TQ_SCHEMA)
    -- A value of more than 64 bytes keeps a hash from being a list, in which
    -- each look at a counter costs more with every counter.
    call('HSET', P .. 'stats', 'about', string.rep('counters ', 8))
end
return tonumber(schema or TQ_SCHEMA)

--plain
-- create: makes a namespace, where there is none yet, also in a full Redis.
--
-- KEYS[1]  prefix
-- ARGV     none
-- Returns  the schema (integer)

local schema = call('GET', P .. 'schema')
if not schema then
    -- A full Redis allows this, and what follows in a script that has written.
    call('DEL', P .. 'schema')
    -- A value of more than 64 bytes keeps a hash from being a list, in which
    -- each look at a counter costs more with every counter.
    call('HSET', P .. 'stats', 'about', string.rep('counters ', 8))
    call('SET', P .. 'schema', TQ_SCHEMA)
end
return tonumber(schema or TQ_SCHEMA)

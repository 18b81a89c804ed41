#!lua flags=no-writes
-- logs: the tail of a job's stderr.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  nil (no such job), or the text ("" when there was none)

--@include base

local id = argv[1]
if call('EXISTS', J .. id) == 0 then
    return false
end
return call('GET', P .. 'l:' .. id) or ''

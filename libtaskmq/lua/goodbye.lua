#!lua flags=allow-oom
-- goodbye: ends the heartbeat of a worker that stops.
--
-- KEYS[1]  prefix
-- ARGV     worker id
-- Returns  1

--@include base

call('HDEL', P .. 'workers', argv[1])
call('DEL', P .. 'w:' .. argv[1] .. ':wake')
return 1

-- again: a job that comes again: it was due, or is to be retried.

--@include base

-- What follows its id in its pack. Its place is after that of the newest job,
-- and before that of the next one.
local AGAIN = ' 1 ' .. (call('GET', P .. 'seq') or '0') .. '.5'

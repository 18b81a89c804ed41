-- now: Redis' clock in ms, read once a script; now13: as 13 digits.

--@include base

local time = call('TIME')
local now13 = fmt('%s%03d', time[1], time[2] / 1000)
local now = now13 + 0

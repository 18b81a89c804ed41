-- now: Redis' clock in ms, read once a script; now13: as 13 digits.

local time = call('TIME')
local now13 = time[1] .. sub('00000' .. time[2], -6, -4)
local now = now13 + 0

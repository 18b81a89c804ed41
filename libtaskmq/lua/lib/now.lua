-- now: Redis' clock in ms, read once per script, also as 13 digits.

local time = call('TIME')
local now13 = time[1] .. sub('00000' .. time[2], -6, -4)
local now = tonumber(now13)

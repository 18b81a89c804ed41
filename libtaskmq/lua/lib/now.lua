-- now: Redis' clock in ms, read once per script, also as 13 digits.

local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local now13 = fmt('%013.0f', now)

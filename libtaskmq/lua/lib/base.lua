-- base: names every script uses.

local call = redis.call
local byte, sub, find = string.byte, string.sub, string.find
local match, fmt = string.match, string.format
local floor, min, max = math.floor, math.min, math.max
local P, argv = KEYS[1], ARGV
local J, R = P .. 'j:', P .. 'r:'
local NO_COUNTER = '000000000000'

-- Elements per variadic command: even, and below what unpack can take.
local CHUNK = 4000

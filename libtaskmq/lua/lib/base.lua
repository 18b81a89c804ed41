-- base: names that every script uses.

local call = redis.call
local byte, sub, find = string.byte, string.sub, string.find
local match, fmt, concat = string.match, string.format, table.concat
local floor, min, max = math.floor, math.min, math.max
local P, argv = KEYS[1], ARGV
local J, R = P .. 'j:', P .. 'r:'

-- Elements of a variadic command: even, and below what unpack can take.
local CHUNK = 4000

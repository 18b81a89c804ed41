-- ARGV: jobs that are done.
local n = redis.call('ZREM', KEYS[1] .. 'running', unpack(ARGV))
local keys = {}
for i = 1, #ARGV do
    keys[i] = KEYS[1] .. 'job:' .. ARGV[i]
end
redis.call('UNLINK', unpack(keys))
redis.call('HINCRBY', KEYS[1] .. 'stats', 'done', n)
return n

-- Takes ARGV[1] jobs: out of the ready set, into the running set, what a
-- worker needs of them to the caller. ARGV[2]: lease expiry; ARGV[3]: token.
local got = redis.call('ZPOPMIN', KEYS[1] .. 'ready', ARGV[1])
local out = {}
for i = 1, #got, 2 do
    local id = got[i]
    local job = KEYS[1] .. 'job:' .. id
    redis.call('HSET', job, 'status', 'RUNNING', 'token', ARGV[3])
    redis.call('ZADD', KEYS[1] .. 'running', ARGV[2], id)
    out[#out + 1] = id
    out[#out + 1] = redis.call('HMGET', job, 'handler', 'payload', 'retries')
end
return out

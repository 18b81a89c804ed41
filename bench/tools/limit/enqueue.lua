-- A plain job queue's enqueue: job hash of six fields, a place in the ready
-- set, a counter. KEYS[1] prefix; ARGV handler, payload, priority, time.
local id = redis.call('INCR', KEYS[1] .. 'id')
redis.call('HSET', KEYS[1] .. 'job:' .. id, 'handler', ARGV[1], 'payload',
    ARGV[2], 'priority', ARGV[3], 'status', 'PENDING', 'retries', '0',
    'created', ARGV[4])
redis.call('ZADD', KEYS[1] .. 'ready', (100 - ARGV[3]) * 70368744177664 + id,
    id)
redis.call('HINCRBY', KEYS[1] .. 'stats', 'received', 1)
return id

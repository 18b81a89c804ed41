#!lua flags=allow-oom
-- config_set: sets one setting, which the caller has checked (tq_config_check()),
-- or unsets it, which leaves its default; also in a full Redis, to make room.
--
-- KEYS[1]  prefix
-- ARGV     name, value, "0", "1" (seed): only where nothing is set, "-": unset,
--          whatever the value
-- Returns  0 set, 1 kept (seed)

local key, name, value, how = P .. 'config', argv[1], argv[2], argv[3]
local old, stats = call('HGET', key, name), P .. 'stats'
if how == '1' and old then
    return 1
elseif how == '-' then
    call('HDEL', key, name)
else
    call('HSET', key, name, value)
end
if name == 'selection' then
--@include order
    set_order(how ~= '-' and value or 'priority')
elseif name == 'finished_max_bytes' and (how == '-' or value == '0') then
    -- Nothing is weighed any more; once it is set again, all is, by sweeps.
    call('UNLINK', P .. 'bytes')
    call('HDEL', stats, 'finished_bytes')
elseif name == 'idempotency_ttl_s' then
--@include now
    -- Until then keys of the time before may lead to jobs.
    call('HSET', stats, 'keys_until',
         max(call('HGET', stats, 'keys_until') or 0,
             now + (old or TQ_IDEMPOTENCY_TTL_S) * 1000))
end
return 0

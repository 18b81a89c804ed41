#!lua flags=allow-oom
-- config_set: sets one setting, or unsets it, which leaves its default. What it
-- may be set to, the caller has checked (tq_config_check()). Not a plain command,
-- so that what makes room can be set in a full Redis.
--
-- KEYS[1]  prefix
-- ARGV     name, value, "0", "1" (seed): only where nothing is set, "-": unset,
--          whatever the value
-- Returns  0 set, 1 kept (seed)

--@include base

local key, name, value, how = P .. 'config', argv[1], argv[2], argv[3]
if how == '1' and call('HEXISTS', key, name) == 1 then
    return 1
elseif how == '-' then
    call('HDEL', key, name)
else
    call('HSET', key, name, value)
end
if name == 'selection' then
--@include order
    set_order(how ~= '-' and value or 'priority')
end
return 0

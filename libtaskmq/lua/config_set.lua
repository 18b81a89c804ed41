#!lua flags=allow-oom
-- config_set: sets one setting, or unsets it, which leaves its default:
-- selection (priority, fifo, lifo), or a whole number: retention_s,
-- dead_retention_s, dead_max, max_retries, daemon_max_retries, retry_wait_ms,
-- retry_wait_max_ms, idempotency_ttl_s, finished_max_bytes, and
-- restart:HANDLER, a time in seconds (the workers replace the handler's older
-- processes).
--
-- KEYS[1]  prefix
-- ARGV     name, value, "0", "1" (seed): only where nothing is set, "-": unset,
--          whatever the value
-- Returns  0 set, 1 kept (seed)
-- Errors   "ERR TASKMQ ..." for an unknown name or a bad value

--@include base
--@include bad

local MODES = { priority = true, fifo = true, lifo = true }
local NUMBERS = { retention_s = true, dead_retention_s = true, dead_max = true,
                  max_retries = true, daemon_max_retries = true,
                  retry_wait_ms = true, retry_wait_max_ms = true,
                  idempotency_ttl_s = true, finished_max_bytes = true }

local name, value, seed, unset = argv[1], argv[2], argv[3] == '1',
                                 argv[3] == '-'
if name == 'selection' then
    if not unset and not MODES[value] then
        return bad('config: selection is priority, fifo or lifo')
    end
elseif not name
       or not (NUMBERS[name] or find(name, '^restart:[%w_.-]+$'))
then
    return bad('config: no such setting')
elseif not unset
       and (not value or not find(value, '^%d+$') or #value > 12) then
    return bad('config: ' .. name .. ' is a whole number')
end

if seed and call('HEXISTS', P .. 'config', name) == 1 then
    return 1
end
if name == 'finished_max_bytes' and (unset or tonumber(value) == 0) then
    -- nothing is weighed any more
    call('UNLINK', P .. 'bytes')
    call('HDEL', P .. 'stats', 'finished_bytes')
end
if unset then
    call('HDEL', P .. 'config', name)
else
    call('HSET', P .. 'config', name, value)
end
return 0

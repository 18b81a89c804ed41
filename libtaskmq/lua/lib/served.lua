-- served: whether a live worker serves a handler.

--@include base
--@include now

local function is_served(handler)
    local seen = call('ZSCORE', P .. 'served', handler)
    return seen and tonumber(seen) > now - TQ_WORKER_GONE_MS
end

-- served: whether a live worker serves a handler.
--@include now

local function is_served(handler)
    return now - (call('ZSCORE', P .. 'served', handler) or 0)
           < TQ_WORKER_GONE_MS
end

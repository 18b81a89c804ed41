-- shared: the jobs of a large claim share one lease: member T<token> of
-- `leased`; how many of them still run is in the hash `shared`, their ids are
-- in s:<token>. Byte 30 of their runs is `+`. It is dissolved, into a lease
-- each for those that run, where only some are extended, and when it expires.

local function drop_shared(token)
    call('ZREM', P .. 'leased', 'T' .. token)
    call('HDEL', P .. 'shared', token)
    call('UNLINK', P .. 's:' .. token)
end

-- These runs under a shared lease are over; if it was dissolved, their own
-- leases are.
local function end_shared(token, ids)
    local left = call('HGET', P .. 'shared', token)
    if not left then
        bulk('ZREM', P .. 'leased', ids)
    elseif tonumber(left) <= #ids then
        drop_shared(token)
    else
        call('HINCRBY', P .. 'shared', token, -#ids)
    end
end

-- Returns how many ids it looked at. A job whose run was evicted, or cannot
-- be read, gets a lease, too: reap starts it anew, or ends it.
local function dissolve(token)
    local expiry = call('ZSCORE', P .. 'leased', 'T' .. token)
    local leases, looked = {}, 0
    for id in string.gmatch(call('GET', P .. 's:' .. token) or '', '%d+') do
        local head = call('GETRANGE', R .. id, 0, 28)
        looked = looked + 1
        if find(head, '^[RE]') and sub(head, 2) == token
           or (#head < 29 or not find(head, '^[WRESFC]%x+$'))
              and call('EXISTS', J .. id) == 1
        then
            leases[#leases + 1] = expiry
            leases[#leases + 1] = id
        end
    end
    if expiry then
        bulk('ZADD', P .. 'leased', leases)
    end
    drop_shared(token)
    return looked
end

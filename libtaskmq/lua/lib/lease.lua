-- lease: how the jobs of one claim are held, together.

-- n of its jobs run no more; with the last one the lease ends.
local function leave_lease(token, n)
    local key = P .. 't:' .. token
    local left = (tonumber(call('GETRANGE', key, '0', '3')) or 0) - n
    if left > 0 then
        call('SETRANGE', key, '0', fmt('%04d', left))
    else
        call('ZREM', P .. 'leased', token)
        call('UNLINK', key)
    end
end

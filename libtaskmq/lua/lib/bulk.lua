-- bulk: variadic commands over lists of any length. A list's members come in
-- pairs where the command takes pairs: CHUNK is even.

local function bulk(cmd, key, list)
    local n = #list
    if n == 0 then
        return
    end
    if n <= CHUNK then
        call(cmd, key, unpack(list))
        return
    end
    for i = 1, n, CHUNK do
        call(cmd, key, unpack(list, i, min(i + CHUNK - 1, n)))
    end
end

local function mset(list)
    local n = #list
    for i = 1, n, CHUNK do
        call('MSET', unpack(list, i, min(i + CHUNK - 1, n)))
    end
end

-- Removes jobs' keys: at most 1,000 ids.
local function unlink(ids)
    local keys = {}
    for i = 1, #ids do
        local id, k = ids[i], 3 * i
        keys[k - 2] = J .. id
        keys[k - 1] = R .. id
        keys[k] = P .. 'l:' .. id
    end
    if #keys > 0 then
        call('UNLINK', unpack(keys))
    end
end

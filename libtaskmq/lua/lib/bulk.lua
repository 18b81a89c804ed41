-- bulk: variadic commands over lists of any length.

--@include base

-- Calls cmd with key (nil: none) and the list, CHUNK elements at a time.
-- Returns the last reply.
local function bulk(cmd, key, list)
    local reply
    for i = 1, #list, CHUNK do
        local last = min(i + CHUNK - 1, #list)
        if key then
            reply = call(cmd, key, unpack(list, i, last))
        else
            reply = call(cmd, unpack(list, i, last))
        end
    end
    return reply
end

-- bulk: variadic commands over lists of any length.

--@include base

-- Calls the command, with its key where it has one, and the list, CHUNK elements
-- at a time. Returns the last reply; nil where the list is empty.
local function bulk(list, ...)
    local reply
    for i = 1, #list, CHUNK do
        local words = { ... }
        for k = i, min(i + CHUNK - 1, #list) do
            words[#words + 1] = list[k]
        end
        reply = call(unpack(words))
    end
    return reply
end

-- whole: a record with its payload.

--@include base

-- The record as it would be if its payload were not apart.
local function whole(id, record)
    local e = find(record, '\n', TQ_JOB_HANDLER_FIRST, true)
    local aside = find(sub(record, 1, e), ' b=%d+\n$')
    return aside and record .. (call('MGET', P .. 'b:' .. id)[1] or '') or record
end

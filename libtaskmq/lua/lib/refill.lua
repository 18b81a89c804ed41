-- refill: reads on in a ready set, and merges what was read with what is left:
-- lanes may have moved behind it. A part of claim; at is 1 again.

local more
if source[POPPED] then
    more = call('ZPOPMIN', sets[i], source[SIZE])
else
    more = call('ZRANGE', sets[i], source[READ],
                source[READ] + source[SIZE] - 1, 'WITHSCORES')
end
source[READ] = source[READ] + source[SIZE]
source[FULL] = #more == 2 * source[SIZE]
source[LAST] = source[FULL] and tonumber(more[#more]) or HUGE
local pairs_of = {}
for _, list in ipairs({ view, more }) do
    for k = list == view and at or 1, #list, 2 do
        pairs_of[#pairs_of + 1] = { tonumber(list[k + 1]), list[k] }
    end
end
table.sort(pairs_of, function(a, b) return a[1] < b[1] end)
view, at = {}, 1
for k = 1, #pairs_of do
    view[2 * k - 1], view[2 * k] = pairs_of[k][2], pairs_of[k][1]
end
source[VIEW] = view

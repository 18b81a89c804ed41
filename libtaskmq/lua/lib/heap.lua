-- heap: the lanes that a claim takes from, the next one first.

--@include base

local function comes_before(a, b)
    if a.rank ~= b.rank then
        return a.rank < b.rank
    end
    return a.place < b.place or a.place == b.place and a.index < b.index
end

-- Puts the lane at `at` of heap, which has size lanes, where it belongs.
local function sift(heap, size, at)
    local lane, child = heap[at], 2 * at
    while child <= size do
        if child < size and comes_before(heap[child + 1], heap[child]) then
            child = child + 1
        end
        if not comes_before(heap[child], lane) then
            break
        end
        heap[at], at, child = heap[child], child, 2 * child
    end
    heap[at] = lane
end

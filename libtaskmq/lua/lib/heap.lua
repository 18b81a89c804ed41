-- heap: the lanes that a claim takes from, the next one first.

--@include base

-- Puts the lane at `at` of heap, which has size lanes, where it belongs: those of
-- a lower rank come before, then those with a lower place, then a lower index.
local function sift(heap, size, at)
    local lane, child = heap[at], 2 * at
    local rank, place, index = lane.rank, lane.place, lane.index
    while child <= size do
        local next, other = heap[child], child < size and heap[child + 1]
        if other and (other.rank < next.rank or other.rank == next.rank
                      and (other.place < next.place or other.place == next.place
                           and other.index < next.index))
        then
            next, child = other, child + 1
        end
        if rank < next.rank or rank == next.rank
           and (place < next.place or place == next.place
                                      and index < next.index)
        then
            break
        end
        heap[at], at, child = next, child, 2 * child
    end
    heap[at] = lane
end

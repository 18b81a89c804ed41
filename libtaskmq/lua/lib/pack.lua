-- pack: packs for many lanes, collected.

--@include lane

-- Behind the id of a job that comes again (it was due, or is retried): its place
-- is after that of the newest job, before that of the next.
local again = ' 1 ' .. seq .. '.5'

-- Adds one; lanes: see to_lanes. Returns them.
local function add_pack(lanes, handler, priority, pack)
    local key = P .. 'h:' .. handler .. ':lane:' .. priority
    local lane = lanes[key] or { handler = handler, priority = priority }
    lanes[key], lane[#lane + 1] = lane, pack
    return lanes
end

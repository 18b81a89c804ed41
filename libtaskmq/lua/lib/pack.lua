-- pack: packs for many lanes, collected.

--@include base lane

-- Adds one; lanes: see to_lanes.
local function add_pack(lanes, handler, priority, pack)
    local key = P .. 'h:' .. handler .. ':lane:' .. priority
    local lane = lanes[key] or { handler = handler, priority = priority }
    lanes[key], lane[#lane + 1] = lane, pack
end

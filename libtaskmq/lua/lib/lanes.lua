-- lanes: packs for many lanes, collected.

--@include base
--@include lane

-- Adds a pack to those for a lane; lanes: its key -> see to_lane.
local function add_pack(lanes, handler, priority, pack)
    local key = P .. 'h:' .. handler .. ':lane:' .. priority
    local lane = lanes[key] or { handler, priority }
    lanes[key], lane[#lane + 1] = lane, pack
end

local function to_lanes(lanes, given_back)
    for key, lane in pairs(lanes) do
        to_lane(key, lane, given_back)
    end
end

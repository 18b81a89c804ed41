-- lane: takes packs of the lane whose turn it is, up to the score of the next
-- member, and moves the lane to its new place among the members. A part of
-- claim.

source[LANES] = source[LANES] or {}
local lane = source[LANES][member]
if not lane then
    lane = { P .. 'h:' .. argv[i] .. ':lane:' .. sub(member, 2),
             {}, 0, 0, 0, LANE_FIRST, true, 0, 0, 0, false,
             false, false }
    source[LANES][member] = lane
end
local bound = min(limit, source[LAST],
                  tonumber(view[at + 3] or HUGE))
local base = mode == 'p'
             and (100 - sub(member, 2)) * BAND + MID or MID
while true do
    if lane[COUNT] == 0 then
        local pack = lane[PACKS][lane[K] + 1]
        lane[K] = lane[K] + 1
        if not pack and lane[MORE] then
            local from, to = lane[PACKS_READ], lane[PACKS_READ] + lane[NEXT] - 1
            if mode == 'l' then
                from, to = -1 - to, -1 - from
            end
            local got = call('LRANGE', lane[KEY], from, to)
            lane[MORE] = #got == lane[NEXT]
            lane[PACKS_READ] = lane[PACKS_READ] + #got
            lane[NEXT] = min(LANE_MORE * lane[NEXT], LANE_MAX)
            if mode == 'l' then
                for k = 1, #got / 2 do
                    local z = #got + 1 - k
                    got[k], got[z] = got[z], got[k]
                end
            end
            lane[PACKS], lane[K], pack = got, 1, got[1]
        end
        if not pack then
            lane[BEST] = false
            break
        end
        local id, count, place = match(pack,
                                       '^(%d+) (%d+) (%d+)$')
        lane[TEXT], lane[FIRST] = id, tonumber(id)
        lane[COUNT] = tonumber(count)
        lane[PLACE] = tonumber(place)
    end
    lane[BEST] = mode == 'l'
                 and MID - lane[PLACE] - lane[COUNT]
                 or base + lane[PLACE]
    if n >= want or left == 0 or lane[BEST] > bound then
        break
    end
    local take, id = min(lane[COUNT], left, want - n), lane[FIRST]
    local apart, step, live = lane[PLACE] - id, 1, take
    if mode == 'l' then
        id, step = id + lane[COUNT] - 1, -1
    end
    if check then
--@include live
    elseif take > 8 and id > 99 + take then
        -- Numbers become text a hundred at a time, as in
        -- enqueue.
        D = D or {
            [0] =
--@include digits
        }
        local low = id % 100
        local text = fmt('%d', (id - low) / 100)
        for k = n + 1, n + take do
            jobs[k] = text .. D[low]
            low, id = low + step, id + step
            if low > 99 or low < 0 then
                low = id % 100
                text = fmt('%d', (id - low) / 100)
            end
        end
    elseif take == 1 and step == 1 and not lane[CUT] then
        jobs[n + 1] = lane[TEXT]
    else
        for k = 1, take do
            jobs[n + k] = fmt('%d', id + step * (k - 1))
        end
    end
    if live > 0 then
        if apart ~= last_apart or base ~= last_base or i ~= last_i
           or not last_lane
        then
            np = np + 5
            parts[np + 1], parts[np + 2] = i, base
            parts[np + 3], parts[np + 4] = apart, true
            last_i, last_base = i, base
            last_apart, last_lane = apart, true
        end
        n, left = n + live, left - live
        parts[np + 5] = n
    end
    if step == 1 then
        lane[FIRST] = lane[FIRST] + take
        lane[PLACE] = lane[PLACE] + take
    end
    lane[COUNT] = lane[COUNT] - take
    lane[CUT] = lane[COUNT] > 0
    if not lane[CUT] then
        lane[USED] = lane[USED] + 1
    end
end
local moved = lane[BEST]
if moved then
    local k = at
    while view[k + 2] and moved > tonumber(view[k + 3]) do
        view[k], view[k + 1] = view[k + 2], view[k + 3]
        k = k + 2
    end
    view[k], view[k + 1] = member, moved
else
    at = at + 2
end

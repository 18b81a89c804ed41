-- taken: the ready sets after a claim: lanes where they are now, then the jobs
-- taken, which are before all that is left. A part of claim; sets rest.

for k = 1, nsources do
    local source = sources[k]
    local i, view, moved = source[OWNER], source[VIEW], nil
    for member, lane in pairs(source[LANES] or {}) do
        if lane[USED] > 0 then
            if mode == 'l' then
                call('LTRIM', lane[KEY], '0', -1 - lane[USED])
            else
                call('LTRIM', lane[KEY], lane[USED], '-1')
            end
        end
        if lane[BEST] and lane[CUT] then
            call('LSET', lane[KEY], mode == 'l' and '-1' or '0',
                 fmt('%d %d %d', lane[FIRST], lane[COUNT], lane[PLACE]))
        end
        if source[POPPED] then
            -- goes back below, or is empty
        elseif lane[BEST] then
            moved = moved or {}
            moved[#moved + 1], moved[#moved + 2] = fmt('%d', lane[BEST]),
                                                   member
        else
            call('ZREM', sets[i], member)
        end
    end
    rest[i] = source[AT] <= #view and 2 or source[FULL]
    if source[POPPED] then
        for at = source[AT], #view, 2 do
            moved = moved or {}
            moved[#moved + 1] = fmt('%d', view[at + 1])
            moved[#moved + 1] = view[at]
        end
    end
    if moved then
        call('ZADD', sets[i], unpack(moved))
    end
    if source[ONES] > 0 and not source[POPPED] then
        call('ZREMRANGEBYRANK', sets[i], '0', source[ONES] - 1)
    end
end

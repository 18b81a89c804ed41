-- live: those of a lane's next jobs that wait. Others were cancelled (and have
-- a run), deleted or evicted (and have no record). Sets take: how many ids are
-- used up, and live: how many of them wait; those are jobs[n + 1] and on. Where
-- none waits it looks ahead. A part of lane.

local keys, runs, names, need = {}, {}, {}, take
local look = min(lane[COUNT], max(take, ahead))
for k = 1, look do
    local name = fmt('%d', id + step * (k - 1))
    names[k], keys[k], runs[k] = name, J .. name, R .. name
end
local there, ran = call('EXISTS', unpack(keys)), call('EXISTS', unpack(runs))
live = 0
if there == 0 or ran == look then
    take, ahead = look, min(max(2 * ahead, look), AHEAD_MAX)
else
    local all = there == look and ran == 0
    take, ahead = 0, 1
    while take < look and live < need do
        take = take + 1
        if all or call('EXISTS', keys[take]) > call('EXISTS', runs[take]) then
            live = live + 1
            jobs[n + live] = names[take]
        end
    end
end
if live < take then
    local drop = dropped[i] or { stale = 0, gone = 0 }
    drop.stale, dropped[i] = drop.stale + take - live, drop
    looked = looked + take - live
    if n + looked >= LOOK_MAX then
        want = n + live
    end
end

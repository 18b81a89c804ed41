#!lua flags=allow-oom
-- release: gives jobs back unrun, the next of their lanes, nothing counted.
-- A periodic job that was cancelled while running ends as cancelled instead.
--
-- KEYS[1]  prefix
-- ARGV     per job: id, token (28)
-- Returns  per job a verdict: 0 ok, 2 stale, 3 gone
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base
--@include bad
--@include now
--@include back
--@include sound

if #argv % 2 ~= 0 then
    return bad('release: number of arguments')
end
local answer, seen = {}, {}
for i = 1, #argv, 2 do
    local id, verdict = argv[i], 2
    local run = call('GET', R .. id)
    if not run then
        verdict = call('EXISTS', J .. id) == 1 and 2 or 3
    elseif not seen[id] and sub(run, TQ_RUN_TOKEN) == argv[i + 1]
           and find(run, '^[RE]', TQ_RUN_STATE_FIRST) and is_run(run)
    then
        give_back(id, run, crashes_of(run))
        seen[id], verdict = true, 0
    end
    answer[#answer + 1] = verdict
end
flush()
return answer

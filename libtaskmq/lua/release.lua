#!lua flags=allow-oom
-- release: gives jobs back unrun: to their old place, nothing counted. A
-- periodic job that was cancelled while running ends as cancelled instead.
--
-- KEYS[1]  prefix
-- ARGV     per job: id, token (28)
-- Returns  per job a verdict: 0 ok, 2 stale, 3 gone
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

--@include base
--@include bad
--@include now
--@include bulk
--@include order
--@include header
--@include shared
--@include batch
--@include run

local n = #argv / 2
if n ~= floor(n) then
    return bad('release: number of arguments')
end
local config = call('HMGET', P .. 'config', 'selection', 'retention_s')
local mode = sub(config[1] or 'p', 1, 1)
local retention = tonumber(config[2] or 86400)

local answer, seen = {}, {}
for i = 1, n do
    local id, token = argv[2 * i - 1], argv[2 * i]
    local run = call('GET', R .. id)
    if not run then
        answer[i] = call('EXISTS', J .. id) == 1 and 2 or 3
    elseif seen[id] or sub(run, 2, 29) ~= token
           or not find(run, '^[RE]') or not is_run(run)
    then
        answer[i] = 2
    else
        local h = header_at(run)
        local handler = handler_at(run, h)
        if sub(run, 1, 1) == 'E' then
            end_cancelled(id, run, h, handler, retention)
        else
            give_back(id, run, h, handler, tonumber(sub(run, 67, 67)), mode)
        end
        seen[id] = true
        answer[i] = 0
    end
end
flush(mode)
return answer

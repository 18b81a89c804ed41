#!lua flags=allow-oom
-- release: gives jobs back unrun: to their old place, nothing counted. A
-- periodic job that was cancelled while running ends as cancelled instead.
--
-- KEYS[1]  prefix
-- ARGV     per job: id, token (28)
-- Returns  per job a verdict: 0 ok, 2 stale, 3 gone
-- Errors   "ERR TASKMQ ..." for arguments that do not add up

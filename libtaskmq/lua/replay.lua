#!lua
-- replay: a new job from an old one's record: same fields, new id, created
-- now. A scheduled time in the past means now.
--
-- KEYS[1]  prefix
-- ARGV     id, dead only "0"/"1"
-- Returns  change (integer: 0 ok, 2 conflict: not dead, 3 not found), new id
--          (integer, 0: none)

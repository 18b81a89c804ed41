#!lua flags=allow-oom
-- retry: a dead job waits again, with a new budget and a fresh place.
--
-- KEYS[1]  prefix
-- ARGV     id
-- Returns  0 ok, 2 conflict (not dead), 3 not found

#!lua flags=allow-oom
-- cancel: ends a job that has not run; with force, also one that runs. A
-- running periodic job without force finishes its run and is then cancelled.
--
-- KEYS[1]  prefix
-- ARGV     id, force "0"/"1"
-- Returns  0 ok, 1 already cancelled (or about to be), 2 conflict (running
--          without force, or finished), 3 not found

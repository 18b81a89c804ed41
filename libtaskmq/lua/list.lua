#!lua flags=no-writes
-- list: jobs, newest first. Walks at most 1,000 ids a call and stops a page
-- at 1 MiB, so a page may be short, even empty, and still have a cursor.
--
-- KEYS[1]  prefix
-- ARGV     before (ids below this; 0: from the newest), state letter (P
--          pending, R running, S, F, C; "": any), handler ("": any), limit
-- Returns  next before (integer, 0: the end), then per job: id (string),
--          record, run ("": never claimed), due (ms, integer; 0: not scheduled)

#!lua flags=allow-oom
-- recover: after a reconnect, releases the leases of this worker id that it
-- does not hold (a claim whose reply was lost), uncounted. In pages.
--
-- KEYS[1]  prefix
-- ARGV     worker id, cursor (0: start), then the ids it holds
-- Returns  next cursor (integer, 0: done), released (integer)

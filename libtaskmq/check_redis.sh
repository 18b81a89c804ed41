#!/bin/sh
# Checks that nobody but libtaskmq's client of Redis (redis/) and its operations
# (queue/tq_ops*) knows what a reply of Redis is: everybody else gets structs
# (queue/tq_ops.h). So no other file includes hiredis, or a header that does, or
# names a part of it.
set -eu
cd "$(dirname "$0")/.."
inside='^libtaskmq/(redis/tq_redis[a-z_]*\.c|redis/tq_redis_(int|reply)\.h|queue/tq_ops[a-z_]*\.c|queue/tq_ops_int\.h)$'
words='<hiredis|include.*tq_(redis_int|redis_reply|ops_int)\.h|\bredis(Reply|Reader|Context)|\bREDIS_(REPLY|OK|ERR)\b|\bREDIS_REPLY_|freeReplyObject'

# The public headers of both have pointers to a reply, which say nothing.
pointer='^libtaskmq/(redis/tq_redis|queue/tq_ops)\.h:[0-9]+:[^:]*struct redisReply( |;)'

files=$(find libtaskmq ngx_taskmq_module taskmq-worker taskmq-cli \
    -name '*.[ch]' -o -name '*.cc')
outside=$(echo "$files" | grep -Ev "$inside")
n=$(echo "$outside" | wc -l)

# shellcheck disable=SC2086 # one word a file
found=$(grep -nE "$words" $outside | grep -Ev "$pointer" || true)

if [ -n "$found" ]; then
    echo "$found"
    echo "hiredis is for libtaskmq/redis and queue/tq_ops*; for others there" \
        "is tq_result_t: 0 passed, 1 failed"
    exit 1
fi

echo "$n files know nothing of hiredis: 1 passed, 0 failed"

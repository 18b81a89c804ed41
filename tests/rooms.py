#!/usr/bin/env python3
"""Holds the order of the rooms. Each folder of C files is a room with one
public header; a file of another room may include that header alone, and only
where the table below has an arrow. A room is listed after those that it uses,
so there is no cycle. An arrow that nobody needs any more is an error, too.

    tests/rooms.py [--dot]       --dot prints the rooms for Graphviz
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# room: public header, the rooms it uses. A room without a header is a program:
# nobody includes anything of it.
ROOMS = {
    "libtaskmq": ("tq_limits.h tq_layout.h", ""),
    "libtaskmq/base": ("tq_base.h", "libtaskmq"),
    "libtaskmq/json": ("tq_json.h", "base"),
    "libtaskmq/doc": ("tq_doc.h", "base"),
    "libtaskmq/redis": ("tq_redis.h", "base"),
    "libtaskmq/queue": ("tq_queue.h", "libtaskmq base json redis"),

    "ngx_taskmq_module/*.h": ("ngx_http_taskmq_module.h", "base queue"),
    "ngx_taskmq_module/stats": ("ngx_http_taskmq_stats.h", "*.h queue"),
    "ngx_taskmq_module/auth": ("ngx_http_taskmq_auth.h", "*.h json"),
    "ngx_taskmq_module/redis": ("ngx_http_taskmq_redis.h",
                                "*.h base queue stats"),
    "ngx_taskmq_module/request": ("ngx_http_taskmq_request.h",
                                  "*.h base queue stats auth redis"),
    "ngx_taskmq_module/api": ("ngx_http_taskmq_api.h", "base queue request"),
    "ngx_taskmq_module/conf": ("ngx_http_taskmq_conf.h",
                               "*.h base auth redis api"),
    "ngx_taskmq_module/*.c": ("", "*.h stats auth redis conf"),

    "taskmq-worker/base": ("tw_base.h curl_load.h", "libtaskmq/base"),
    "taskmq-worker/config": ("tw_config.h",
                             "base libtaskmq/base libtaskmq/queue"),
    "taskmq-worker/process": ("tw_process.h", "base config libtaskmq/base json "
                              "libtaskmq/queue"),
    "taskmq-worker/http": ("tw_http.h", "base process libtaskmq/base"),
    "taskmq-worker/run": ("tw_run.h", "base config process http doc "
                          "libtaskmq/queue"),
    "taskmq-worker/queue": ("tw_queue.h", "base run doc libtaskmq/base "
                            "libtaskmq/redis libtaskmq/queue"),
    "taskmq-worker/health": ("tw_health.h", "base queue doc libtaskmq/queue"),
    "taskmq-worker": ("", "base config process http run queue health"),

    "taskmq-cli": ("", "base doc queue"),
}

# What one other room may see beside the public header: replies of Redis.
FRIENDS = {("libtaskmq/queue", "tq_redis_reply.h")}

INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def files(room):
    room = room if "*" in room else room + "/*.[ch]*"
    return sorted(p for p in glob.glob(os.path.join(ROOT, room))
                  if p.endswith((".c", ".h", ".cc")))


def check():
    names = list(ROOMS)
    owner = {os.path.basename(p): room for room in names for p in files(room)}
    wrong, used = [], set()
    for folder in glob.glob(os.path.join(ROOT, "*", "*", "")):
        room = os.path.relpath(folder, ROOT)
        if room.split("/")[0] in {r.split("/")[0] for r in names} \
                and files(room) and room not in ROOMS:
            wrong.append("%s: not in the table of rooms (tests/rooms.py)"
                         % room)
    for place, room in enumerate(names):
        uses = {full(short, room): short for short in ROOMS[room][1].split()}
        for other in uses:
            if names.index(other) >= place:
                wrong.append("tests/rooms.py: %s uses %s, which is not above "
                             "it in the table" % (room, other))
        for path in files(room):
            with open(path) as f:
                text = f.read()
            for header in INCLUDE.findall(text):
                other = owner.get(os.path.basename(header))
                line = text[:text.index('"%s"' % header)].count("\n") + 1
                where = "%s:%d" % (os.path.relpath(path, ROOT), line)
                if other == room:
                    continue
                if other is None:
                    wrong.append("%s: %s is in no room" % (where, header))
                    continue
                if header not in ROOMS[other][0].split() \
                        and (room, header) not in FRIENDS:
                    wrong.append("%s: %s is private to %s; include %s" % (
                        where, header, other, ROOMS[other][0] or "nothing"))
                if other not in uses:
                    wrong.append("%s: %s may not use %s" % (where, room,
                                                            other))
                used.add((room, other))
        for other in uses:
            if (room, other) not in used:
                wrong.append("tests/rooms.py: %s uses nothing of %s" % (room,
                                                                        other))
    return wrong, used


def full(short, room):
    """base in taskmq-worker/run: the worker's room of that name if there is
    one, else libtaskmq's; or a whole path."""
    for name in (os.path.join(room.split("/")[0], short),
                 "libtaskmq/" + short, short):
        if name in ROOMS:
            return name
    sys.exit("tests/rooms.py: %s: there is no room %s" % (room, short))


def main():
    wrong, used = check()
    if sys.argv[1:] == ["--dot"]:
        print("digraph rooms {")
        for a, b in sorted(used):
            print('    "%s" -> "%s";' % (a, b))
        print("}")
    for line in wrong:
        print(line, file=sys.stderr)
    print("%d rooms, %d arrows; %d passed, %d failed" % (
        len(ROOMS), len(used), not wrong, bool(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the documents say is to be done on Debian, done on Debian: its own
redis-server under systemd, in a guest, with the lines of the documents."""

import os
import re
import unittest

import guest
from harness import BUILD, ROOT

# A guest under systemd computes for a minute or more: what others leave it.
FIRST = True


def lines_after(name, heading, number):
    """The number-th block of lines below a heading of a document."""
    with open(os.path.join(ROOT, "docs", name)) as f:
        text = f.read().split("\n%s\n" % heading, 1)[1]
    blocks = re.findall(r"(?:^    .*\n)+", text, re.M)
    return re.sub("(?m)^    ", "", blocks[number])


# say NAME COMMAND prints both on a line, for the test to read.
SCRIPT = r"""
set -u
say() { echo "$1: $(eval "$2" 2>&1 | tr '\n' ' ')"; }
me() { env REDISCLI_AUTH=PASSWORD redis-cli --user me "$@"; }
asked() { while read -r line; do echo "$line" | "$@"; done; }

# ---- files with secrets
%(secret)s
%(files)s

mkdir -p /usr/share/doc/taskmq
cp %(root)s/redis-acl.example /usr/share/doc/taskmq
systemctl start redis-server
redis-cli SET old data > /dev/null

# ---- the append-only file
%(append)s
say "append-only" "redis-cli CONFIG GET appendonly"
systemctl restart redis-server
say "after a restart" "redis-cli GET old; redis-cli CONFIG GET appendonly"

# ---- a copy, and back to it
umask 022
%(backup)s
say "copy" "cd /var/backups; stat -c '%%n %%a' redis.rdb*"
chmod 644 /var/backups/redis.rdb
redis-cli SET old data > /dev/null
%(backup)s
say "copy, later" "cd /var/backups; stat -c '%%n %%a' redis.rdb*"
redis-cli MSET old changed late data > /dev/null
%(restore)s
say "restored" "redis-cli MGET old late; redis-cli CONFIG GET appendonly"
%(append)s
systemctl restart redis-server
say "restored, later" "redis-cli MGET old late; redis-cli CONFIG GET appendonly"

# ---- the keys of an old namespace
redis-cli MSET '{taskmq}:a' 1 '{taskmq}:u:1:x:it'"'"'s "a" \\ key' 2 \
    '{taskmq2}:a' 3 '{taskm?}:a' 4 > /dev/null
%(unlink)s
say "unlinked" "redis-cli --scan --pattern '{*' | sort"

# ---- users
%(users)s
asked redis-cli << 'END'
%(passwords)s
END
asked me << 'END'
%(off)s
END
say "default" "redis-cli GET old"
systemctl restart redis-server
say "default, later" "redis-cli GET old"
say "me" "me GET old"

# ---- the lines with redis-cli, when there are users
me MSET '{taskmq}:a' 1 '{taskmq2}:a' 3 > /dev/null
rm /var/backups/redis.rdb
cat > /dev/shm/mine << 'END'
%(mine)s
END
say "with mine" "echo PASSWORD | bash /dev/shm/mine"
say "mine" "me --scan --pattern '{taskmq*'; stat -c '%%a' /var/backups/redis.rdb"

# ---- a socket
%(socket)s
say "restarted" "systemctl is-active redis-server; me GET old"
say "socket" "stat -c '%%U %%G %%a' /run/redis-socket/redis.sock"
member="setpriv --reuid taskmq --regid taskmq --groups \
    $(getent group redis-socket | cut -d: -f3)"
say "nobody" "setpriv --reuid nobody --regid nogroup --clear-groups \
    redis-cli -s /run/redis-socket/redis.sock PING"
say "a handler" "$member redis-cli -s /run/redis-socket/redis.sock GET old"
say "its files" "$member sh -c 'cat /etc/redis/redis.conf; ls /etc/redis;
    rm -f /etc/redis/redis.conf; touch /etc/redis/x /run/redis-socket/x'"
say "www-data" "id -Gn www-data"
say "left" "ls /etc/redis /run/redis-socket"

# ---- the worker
printf '[handlers.n]\nbuiltin = "noop"\n' > /etc/taskmq/handlers.toml
echo TASKMQ_REDIS_URL=unix://taskmq-worker:PASSWORD@/run/redis-socket/redis.sock \
    > /etc/taskmq/worker.env
cp %(build)s/taskmq-worker /usr/bin
sed -e 's,^#SupplementaryGroups,SupplementaryGroups,' \
    -e 's,--config,--namespace shop --config,' \
    %(root)s/taskmq-worker/taskmq-worker.service \
    > /etc/systemd/system/taskmq-worker.service
systemctl daemon-reload
timeout 60 systemctl start taskmq-worker
say "worker" "systemctl is-active taskmq-worker"
journalctl -q --no-pager -u taskmq-worker | tail -n 20
say "secrets" "cd /etc/taskmq; stat -c '%%n %%U %%G %%a' *"
pid=$(systemctl show -P MainPID taskmq-worker)
say "its groups" "awk '/^Groups/ { print \$2, \$3 }' /proc/$pid/status |
    xargs -n 1 getent group | cut -d: -f1"
"""


class Redis(unittest.TestCase):

    def test_the_documents(self):
        said = guest.run(SCRIPT % {
            "root": ROOT, "build": BUILD,
            "append": lines_after("operations.md",
                                  "### The append-only file", 0),
            "backup": lines_after("operations.md",
                                  "## Backup and restore", 0),
            "restore": lines_after("operations.md",
                                   "## Backup and restore", 1),
            "unlink": lines_after("operations.md", "## Upgrading", 1),
            "mine": "\n".join(
                [lines_after("operations.md", "## Redis", 0)]
                + [lines_after("operations.md", *block).replace(
                    "redis-cli", "redis-cli --user me") for block in (
                        ("### The append-only file", 0),
                        ("## Backup and restore", 0),
                        ("## Upgrading", 1))]),
            "socket": lines_after("operations.md", "### A unix socket", 0),
            "secret": lines_after("operations.md", "## nginx", 1),
            "files": lines_after("operations.md", "## Workers", 1),
            "users": lines_after("security.md", "## Redis", 0),
            "passwords": lines_after("security.md", "## Redis", 1),
            "off": lines_after("security.md", "## Redis", 2),
        }, systemd=True)
        told = dict(line.split(": ", 1) for line in said.splitlines()
                    if re.match("[a-z, -]+: ", line))
        want = {
            "append-only": "appendonly yes ",
            "after a restart": "data appendonly yes ",
            "copy": "redis.rdb 600 ",
            "copy, later": "redis.rdb 600 ",
            "secrets": "handlers.toml root taskmq 640 "
                       "jwt.secret root root 600 worker.env root root 600 ",
            "restored": "data  appendonly no ",
            "restored, later": "data  appendonly yes ",
            "unlinked": "{taskm?}:a {taskmq2}:a ",
            "default": "NOAUTH Authentication required.  ",
            "default, later": "NOAUTH Authentication required.  ",
            "me": "data ",
            "mine": "{taskmq2}:a 600 ",
            "restarted": "active data ",
            "socket": "redis redis-socket 770 ",
            "a handler": "NOAUTH Authentication required.  ",
            "www-data": "www-data redis-socket ",
            "left": "/etc/redis: redis.conf  /run/redis-socket: redis.sock ",
            "worker": "active ",
        }
        for name, value in want.items():
            with self.subTest(name):
                self.assertEqual(told.get(name), value, said)
        self.assertIn("aof_last_bgrewrite_status:ok", said)
        self.assertEqual(told["with mine"].strip(),
                         "OK aof_last_bgrewrite_status:ok")
        self.assertIn("Permission denied", told["nobody"])
        self.assertEqual(told["its files"].count("Permission denied"), 5)
        self.assertIn("redis-socket", told["its groups"].split())
        self.assertNotIn("redis", told["its groups"].split())


if __name__ == "__main__":
    unittest.main()

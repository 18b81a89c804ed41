"""memory_limit by a cgroup of its own, on a kernel that has a memory controller
in cgroup v2: Debian's, booted for this test on this machine's own files. (The
machine's kernel may keep that controller in v1.)"""

import shlex
import unittest

import guest
from harness import BUILD, ROOT

# As systemd does with Delegate=yes: the worker alone in a cgroup that is its.
SCRIPT = r"""
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/service
cat > /dev/shm/delegated << 'END'
#!/bin/sh
echo $$ > /sys/fs/cgroup/service/cgroup.procs
exec "$@"
END
chmod +x /dev/shm/delegated
cd %(root)s
BUILD=%(build)s WRAP_WORKER=/dev/shm/delegated PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 tests/e2e/run.py %(tests)s
# and for another user, who then owns the cgroup that the worker runs in
chown 65534 /sys/fs/cgroup/service /sys/fs/cgroup/service/cgroup.procs
printf '[handlers.a]\ncommand = ["cat"]\n' > /dev/shm/a.toml
TASKMQ_REDIS_URL=redis://127.0.0.1:1 /dev/shm/delegated setpriv \
    --reuid 65534 --regid 65534 --clear-groups \
    %(build)s/taskmq-worker --config /dev/shm/a.toml > /dev/shm/said 2>&1 &
until grep -q 'worker starts' /dev/shm/said || ! kill -0 $!; do sleep 0.1; done
kill $!
wait $!
cat /dev/shm/said
echo "left behind:"
find /sys/fs/cgroup/service -mindepth 1 -type d
cat /sys/fs/cgroup/service/cgroup.subtree_control
"""


class Cgroup(unittest.TestCase):

    def boot(self, *tests):
        """What the tests said on that kernel, and what was left behind."""
        said = guest.run(SCRIPT % {
            "root": shlex.quote(ROOT), "build": shlex.quote(BUILD),
            "tests": " ".join(tests)})
        self.assertIn("left behind:\n", said)
        return said.rsplit("left behind:\n", 1)

    def test_memory_limit(self):
        said, left = self.boot("test_worker_kinds.Bounds.test_memory_limit")
        self.assertIn("\n1 passed, 0 failed", said)
        self.assertIn('memory limit by "cgroup v2"', said)
        self.assertIn('because="its cgroup belongs to its user', said)
        # the worker took everything back when it left
        self.assertEqual(left.strip(), "")


if __name__ == "__main__":
    unittest.main()

"""memory_limit by a cgroup of its own, on a kernel that has a memory controller
in cgroup v2: Debian's user-mode Linux, booted for this test on this machine's
own files. (The machine's kernel may keep that controller in v1.)"""

import os
import shutil
import subprocess
import tempfile
import unittest

from harness import BUILD, ROOT

# As systemd does with Delegate=yes: the worker alone in a cgroup that is its.
INIT = r"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/service
cat > /dev/shm/delegated << 'END'
#!/bin/sh
echo $$ > /sys/fs/cgroup/service/cgroup.procs
exec "$@"
END
chmod +x /dev/shm/delegated
cd %(root)s
TMPDIR=/dev/shm BUILD=%(build)s WRAP_WORKER=/dev/shm/delegated \
    PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 tests/e2e/run.py %(tests)s > %(out)s 2>&1
{
    find /sys/fs/cgroup/service -mindepth 1 -type d
    cat /sys/fs/cgroup/service/cgroup.subtree_control
} > %(out)s.left
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


class Cgroup(unittest.TestCase):

    def boot(self, *tests):
        """What the tests said on that kernel, and what was left behind."""
        linux = shutil.which("linux.uml")
        if linux is None:
            raise unittest.SkipTest("user-mode-linux is not installed")
        with tempfile.TemporaryDirectory() as d:
            init, out = os.path.join(d, "init"), os.path.join(d, "out")
            with open(init, "w") as f:
                f.write(INIT % {"root": ROOT, "build": BUILD, "out": out,
                                "tests": " ".join(tests)})
            os.chmod(init, 0o755)
            p = subprocess.run(
                ["setpriv", "--pdeathsig", "KILL", "--", linux, "mem=768M",
                 "umid=taskmq%d" % os.getpid(), "uml_dir=" + d,
                 "rootfstype=hostfs", "rootflags=/", "rw", "init=" + init,
                 "con=null", "con0=null,fd:1"], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=240, start_new_session=True)
            try:
                with open(out) as f, open(out + ".left") as left:
                    return f.read(), left.read()
            except FileNotFoundError:
                raise AssertionError("it did not boot: "
                                     + p.stdout.decode()[-2000:]) from None

    def test_memory_limit(self):
        said, left = self.boot("test_worker_kinds.Bounds.test_memory_limit")
        self.assertIn("\n1 passed, 0 failed", said)
        self.assertIn('memory limit by "cgroup v2"', said)
        # the worker took everything back when it left
        self.assertEqual(left.strip(), "")


if __name__ == "__main__":
    unittest.main()

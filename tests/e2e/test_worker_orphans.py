"""Containers that a killed worker left behind: what is removed, and what is
left because its worker may be alive."""

import itertools
import os
import re
import unittest

from cli_stack import CliStack
from harness import BUILD, wait_for

# Runs nothing in a container; a file of its name has its status.
RUNTIME = r"""#!/bin/sh
echo "$*" >> %(dir)s/calls
cd %(dir)s/containers
case $1 in
run) while [ "$1" != --name ]; do shift; done
     echo "Up 2 seconds" > "$2"
     while read -r line; do echo '{"status":"success"}'; done ;;
ps) for f in *; do echo "$f $(cat "$f")"; done ;;
rm) shift 2; rm "$@" ;;
esac
exit 0
"""
NAME = re.compile("taskmq-(.{8})-(.{8})-(.{8})-(\\d+)-(\\d+)-\\d+")
# in a pid namespace of its own, where it has the same pid as the next one
APART = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


class Orphans(unittest.TestCase):

    def stack(self):
        s = self.enterContext(CliStack(handlers={}, aof=False))
        os.mkdir(s.path("containers"))
        runtime = s.path("runtime", (RUNTIME % {"dir": s.dir}).encode())
        os.chmod(runtime, 0o755)
        s.write_handlers({"c": {"image": "x", "runtime": [runtime],
                                "instances": 1}})
        return s

    def containers(self, s):
        """Their names."""
        return sorted(os.listdir(s.path("containers")))

    def started(self, s):
        try:
            with open(s.path("calls")) as f:
                return re.findall("--name (\\S+)", f.read())
        except FileNotFoundError:
            return []

    def worker(self, s, *words):
        """A worker behind these words, and the container that it started."""
        before = self.started(s)
        w = s.start("worker", list(words) + [
            os.path.join(BUILD, "taskmq-worker"), "--config", s.toml],
            env=dict(os.environ, TASKMQ_REDIS_URL=s.url("worker")))
        if words:
            self.addCleanup(w.kill)     # unshare(1) passes no TERM on
        wait_for(lambda: len(self.started(s)) > len(before), 10, "a container")
        name = self.started(s)[-1]
        wait_for(lambda: name in self.containers(s), 10, "its file")
        return w, name

    def test_sweep(self):
        s = self.stack()
        w, mine = self.worker(s)
        host, boot, space, pid, start = NAME.fullmatch(mine).groups()
        self.assertNotIn("00000000", (boot, space))

        def line(status, host=host, boot=boot, space=space, pid=pid,
                 start=start):
            return "taskmq-%s-%s-%s-%s-%s-%d %s" % (
                host, boot, space, pid, start, next(number), status)
        number = itertools.count(2)
        old = str(int(start) - 1)
        dead = [line("Up 2 days", start=old),
                line("Created", start=old),
                line("Up 2 days", pid=1 << 22, start=5),
                # out of sight, but it has ended
                line("Exited (0) 5 minutes ago", space="00000001"),
                line("Exited (137) 1 second ago", boot="00000001"),
                line("Dead", boot="00000001")]
        left = [line("Up 2 days", boot="00000001"),
                line("Created", boot="00000001"),
                line("Up 2 days", space="00000001", start=old),
                line("Up 2 days", boot="00000000", start=old),
                line("Up 2 days", space="00000000", start=old),
                line("", space="00000001")]
        alive = [line("Up 2 days"),
                 # another machine's, and nobody's
                 line("Exited (0) 5 minutes ago", host="ffffffff", start=old),
                 "taskmq-other Exited (0) 5 minutes ago",
                 "x" + line("Exited (0) 5 minutes ago", start=old)]
        for c in dead + left + alive:
            name, status = c.split(" ", 1)
            s.path(os.path.join("containers", name), status.encode())
        b, theirs = self.worker(s)
        wait_for(lambda: "containers of a dead worker removed containers=%d "
                 "status=0" % len(dead) in b.tail(), 10)
        self.assertEqual(self.containers(s), sorted(
            [c.split(" ")[0] for c in left + alive] + [mine, theirs]))
        self.assertIn("containers of workers that cannot be seen from here "
                      "are left alone containers=%d" % len(left), b.tail())
        self.assertTrue(w.alive())

    @unittest.skipIf(os.getuid() != 0, "needs root for pid namespaces")
    def test_two_pid_namespaces(self):
        """One host name, one engine, the same pid in both: none of them can
        see the other, and none removes what is the other's."""
        s = self.stack()
        a, of_a = self.worker(s, *APART)
        b, of_b = self.worker(s, *APART)
        outside, _ = self.worker(s)
        self.assertEqual(NAME.fullmatch(of_a)[4], NAME.fullmatch(of_b)[4])
        self.assertNotEqual(NAME.fullmatch(of_a)[3], NAME.fullmatch(of_b)[3])
        for w, n in ((b, 1), (outside, 2)):
            wait_for(lambda w=w, n=n: "are left alone containers=%d" % n
                     in w.tail(), 10, w.tail())
        self.assertIn(of_a, self.containers(s))
        self.assertIn(of_b, self.containers(s))
        with open(s.path("calls")) as f:
            self.assertNotRegex(f.read(), "(?m)^rm ")
        s.wait_done(s.add("c", {}))
        self.assertTrue(a.alive() and b.alive())

    @unittest.skipIf(os.getuid() != 0, "needs root for a /proc of its own")
    def test_foreign_proc(self):
        """A /proc of another pid namespace tells nothing of our pids."""
        s = self.stack()
        _, name = self.worker(s, "unshare", "--pid", "--fork", "--kill-child",
                              "--")
        self.assertEqual(NAME.fullmatch(name)[3], "00000000")
        w, _ = self.worker(s)
        wait_for(lambda: "are left alone containers=1" in w.tail(), 10)
        self.assertIn(name, self.containers(s))

    @unittest.skipIf(os.getuid() != 0, "needs root to become another user")
    def test_hidden_processes(self):
        """A worker that /proc hides (hidepid) is alive."""
        s = self.stack()
        _, name = self.worker(s)
        script = "mount -t proc -o hidepid=2 proc /proc && exec setpriv " \
            "--reuid 65534 --regid 65534 --clear-groups \"$@\""
        os.chmod(s.dir, 0o777)
        os.chmod(s.path("containers"), 0o777)
        os.chmod(s.path("calls"), 0o666)
        b, _ = self.worker(s, "unshare", "--mount", "--", "sh", "-c", script,
                           "sh")
        s.wait_done(s.add("c", {}))
        wait_for(lambda: "ps -a" in open(s.path("calls")).read(), 10)
        self.assertIn(name, self.containers(s))
        self.assertNotIn("removed", b.tail())


if __name__ == "__main__":
    unittest.main()

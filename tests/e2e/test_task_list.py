"""A list of 100,000 tasks is quick, also where nearly nothing matches."""

import http.client
import os
import sys
import threading
import time
import unittest
import urllib.parse

from api_table_daemon import next_path
from both_apis import Both
from harness import SLOW, wait_for


class List(unittest.TestCase):
    """100,000 tasks; the oldest is the only "rare" one and the only one that
    failed."""

    N = 100000

    @classmethod
    def setUpClass(cls):
        cls.s = Both(handlers={"rare": {"command": ["python3", "-c", "for t i"
                                                    "n open(0): print('{\"s"
                                                    "tatus\":\"error\"}', "
                                                    "flush=True)"]}},
                     aof=False)
        cls.addClassCleanup(cls.s.close)
        s = cls.s
        try:        # of the time that is measured, none is other programs'
            os.setpriority(os.PRIO_PROCESS, s.server.pid, -15)
        except PermissionError:
            pass
        w = s.worker()
        cls.first = s.queue("rare", {"n": 0})
        wait_for(lambda: s.stat("failed") == 1, 10)
        w.stop()
        before = s.redis("DBSIZE")
        text = "".join('{"n":%d,"text":"%s"}\n' % (n, "x" * 80)
                       for n in range(1, cls.N))
        out = s.cli("add-job", "many", "--from", "-", stdin=text.encode(),
                    timeout=120)
        if out.returncode != 0:
            raise AssertionError(out)
        cls.keys = s.redis("DBSIZE") - before

    def setUp(self):
        self.conn = http.client.HTTPConnection(
            "127.0.0.1", self.s.port, timeout=15 * SLOW)
        self.addCleanup(self.conn.close)
        self.token = self.s.token()

    def get(self, path):
        r = self.s.get(path, token=self.token, conn=self.conn)
        self.assertEqual(r.status, 200, r)
        return r

    def tasks(self, query):
        """Follows the cursors of /api/tasks: [(page, bytes)]."""
        path = "/api/tasks?" + query
        while path:
            r = self.get(path)
            yield r.json()
            path = next_path(r)

    def jobs(self, query):
        """The same of TaskMQ's /jobs."""
        cursor = ""
        while cursor is not None:
            page = self.get("/taskmq/jobs?%s%s" % (query, cursor)).json()
            yield page["jobs"]
            cursor = page["next_cursor"] and "&cursor=" \
                + urllib.parse.quote(page["next_cursor"])

    def used(self, *processes):
        """Processor time that these have had, ms; only their first threads,
        which is where Redis and nginx work."""
        total = 0
        for pid in processes:
            with open("/proc/%d/schedstat" % pid) as f:
                total += int(f.read().split()[0])
        return total / 1e6

    def no_slow_call(self, ms, what, calls):
        """Sends each of calls() with Redis watching: no command took so
        long. A machine that others use, too, gets several tries; when none
        of them was good, it is enough that in one of them Redis did not run
        that long for any request: the rest it had waited for a processor."""
        s = self.s
        s.redis("CONFIG", "SET", "slowlog-log-slower-than", ms * 1000)
        tries = []
        for _ in range(6):
            s.redis("SLOWLOG", "RESET")
            most, before = 0, self.used(s.server.pid)
            for _ in calls():
                now = self.used(s.server.pid)
                most, before = max(most, now - before), now
            slow = s.redis("SLOWLOG", "GET", 200)
            tries.append((len(slow), most))
            if not slow:
                break
        print("    %-44s %d slow, at most %.1f ms of Redis"
              % (what, *min(tries)), file=sys.stderr)
        self.assertTrue(not slow or min(w for _, w in tries) < ms,
                        (what, tries))

    def test_a_page_takes_under_5_ms(self):
        """The median of 25 requests; where the machine is too busy for that,
        at least Redis and nginx together have not worked that long."""
        queries = ("limit=20", "limit=100", "limit=20&type=many",
                   "limit=20&status=pending", "limit=20&status=failed")
        paths = ["/api/tasks?" + q for q in queries] + [
            "/taskmq/jobs?limit=100", "/taskmq/jobs?limit=20&handler=many"]
        with open("/proc/%d/task/%d/children" % ((self.s.nginx.pid,) * 2)
                  ) as f:
            pids = [self.s.server.pid, *map(int, f.read().split())]
        self.assertEqual(len(pids), 2)
        for path in paths:
            tries = []
            for _ in range(10):
                took, work = [], self.used(*pids)
                for _ in range(25):
                    start = time.perf_counter()
                    self.get(path)
                    took.append((time.perf_counter() - start) * 1000)
                work = (self.used(*pids) - work) / 25
                tries.append((sorted(took)[12], work))
                if tries[-1][0] < 5 * SLOW:
                    break
            best = min(tries)
            print("    %-44s %.1f ms, %.1f ms of work" % (path, *best),
                  file=sys.stderr)
            self.assertTrue(best[0] < 5 * SLOW
                            or min(w for _, w in tries) < 5, (path, tries))
            self.no_slow_call(5 * SLOW, path, lambda: (
                self.get(path) for _ in range(50)))

    def test_a_filter_that_matches_only_the_oldest(self):
        for pages, query in ((self.tasks, "type=rare"),
                             (self.tasks, "status=failed&limit=100"),
                             (self.tasks, "type=rare&status=failed&limit=1"),
                             (self.jobs, "handler=rare"),
                             (self.jobs, "status=FAILED&limit=1")):
            def walk():
                found, n = [], 0
                for page in pages(query):
                    found += page
                    n += 1
                    yield
                self.assertEqual(
                    [t.get("task_data", t.get("payload")) for t in found],
                    [{"n": 0}])
                self.assertLessEqual(n, self.N / 500 + 2)

            with self.subTest(query):
                self.no_slow_call(5 * SLOW, query, walk)

    def test_cursor_while_tasks_arrive_and_go(self):
        """Every task once, newest first, whatever happens meanwhile."""
        s = self.s
        stop = threading.Event()
        arrived = []

        def client():
            while not stop.is_set():
                arrived.append(s.queue("many", {"n": "new"}))

        before = int(s.redis("GET", s.key("seq")))
        thread = threading.Thread(target=client)
        seen, deleted = [], set()
        pages = self.tasks("limit=100")
        thread.start()
        try:
            wait_for(lambda: arrived, 10)
            for page in pages:
                seen += [t["task_data"]["n"] for t in page]
                last = seen[-1]
                if isinstance(last, int) and last > 500 \
                        and last % 2000 < 100:
                    # job n + 1, well ahead of the cursor
                    s.run("delete", last - 299)
                    deleted.add(last - 300)
        finally:
            stop.set()
            thread.join()
        self.assertGreater(len(arrived), 20)
        self.assertGreater(len(deleted), 20)
        old = [n for n in seen if n != "new"]
        self.assertEqual(old, [n for n in range(self.N - 1, -1, -1)
                               if n not in deleted and n + 1 <= before])
        # those that came before the first page was read, and no others
        self.assertEqual(seen[:len(seen) - len(old)],
                         ["new"] * (len(seen) - len(old)))
        self.assertLess(len(seen) - len(old), len(arrived))

    def test_task_ids_need_no_index(self):
        """One key per waiting task, and what a handler's first one made."""
        self.assertLess(self.keys, self.N + 5)
        kind = self.s.redis("TYPE", self.s.key("uuid-key"))
        self.assertEqual(kind, "string")


if __name__ == "__main__":
    unittest.main()

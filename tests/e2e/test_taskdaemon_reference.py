"""TaskDaemon's reference, its curl lines as they are printed there: only the
port is another, an id is one that was given, and `{...}` is some data."""

import json
import re
import subprocess
import unittest

from harness import Stack, wait_for

QUEUE = r'''
curl -X POST http://localhost:8080/queue \
-H "Content-Type: application/json" \
-d '{"type": "resize", "data": {"url": "https://example.com/image.jpg"}, "priority": 75}'
'''
PRIORITIES = r'''
# High priority (processed first)
curl -X POST http://localhost:8080/queue \
-d '{"type": "urgent", "data": {...}, "priority": 100}'
# Normal priority (default)
curl -X POST http://localhost:8080/queue \
-d '{"type": "normal", "data": {...}}'
# Low priority (processed last)
curl -X POST http://localhost:8080/queue \
-d '{"type": "background", "data": {...}, "priority": 0}'
'''
GET = "curl http://localhost:8080/api/tasks/550e8400-e29b-41d4-a716-4466554" \
      "40000"
LIST = "curl http://localhost:8080/api/tasks"
HEALTH = "curl http://localhost:8080/health"
SUMMARY = "curl http://localhost:8080/api/metrics"
METRICS = """
# HELP tasks_received_total Total tasks received
# TYPE tasks_received_total counter
tasks_received_total 1234
# HELP queue_size Current queue size
# TYPE queue_size gauge
queue_size 42
# HELP container_pool_active Active containers per handler
# TYPE container_pool_active gauge
container_pool_active{handler="resize"} 8
# HELP container_pool_idle Idle containers per handler
# TYPE container_pool_idle gauge
container_pool_idle{handler="resize"} 2
"""


class AsPrinted(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.s = Stack(api="taskdaemon", location="taskmq_auth off;",
                      handlers={"resize": {"instances": 2},
                                **{name: {"instances": 1} for name in (
                                    "urgent", "normal", "background")}})
        cls.addClassCleanup(cls.s.close)

    def sh(self, text, stack=None):
        text = text.strip().replace("localhost:8080", "localhost:%d" % (
            stack or self.s).port).replace("curl ", "curl -4sS ")
        out = subprocess.run(["sh", "-ec", text], capture_output=True,
                             text=True, timeout=60)
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        return out.stdout

    def task(self, task):
        return json.loads(self.sh(re.sub("550e8400-[0-9a-f-]*", task, GET)))

    def test_lines(self):
        s = self.s
        task = json.loads(self.sh(QUEUE))["task_id"]
        got = self.task(task)
        self.assertEqual(
            (got["id"], got["status"], got["priority"], got["task_type"],
             got["task_data"]),
            (task, "pending", 75, "resize",
             {"url": "https://example.com/image.jpg"}))
        self.assertEqual(json.loads(self.sh(GET)),
                         {"error": "Task not found"})
        ids = re.findall('"task_id":"([^"]+)"', self.sh(
            PRIORITIES.replace("{...}", '{"fail": "not today"}')))
        self.assertEqual([self.task(i)["priority"] for i in ids],
                         [100, 50, 0])
        self.assertEqual([t["id"] for t in json.loads(self.sh(LIST))],
                         ids[::-1] + [task])
        w = s.worker()
        wait_for(lambda: self.task(task)["status"] == "completed", 15)
        wait_for(lambda: all(self.task(i)["status"] == "failed"
                             for i in ids), 15)
        self.assertEqual(self.task(ids[0])["last_error"], "not today")

        self.assertIn('"status":"healthy"', self.sh(HEALTH))
        self.assertEqual(json.loads(self.sh(SUMMARY)), {
            "tasks_received": 4, "tasks_processed_success": 1,
            "tasks_processed_failed": 3, "queue_size": 0,
            "daemon_healthy": True})
        lines = METRICS.strip().splitlines()
        printed = [re.escape(line) if line[0] == "#" else
                   re.escape(line.split()[0]) + " [0-9]+" for line in lines]
        # its heartbeat says how many instances there are
        printed.append(re.escape('container_pool_idle{handler="resize"} 2'))

        def missing():
            metrics = self.sh("curl http://localhost:8080/metrics")
            return [line for line in printed
                    if not re.search("(?m)^%s$" % line, metrics)]

        wait_for(lambda: not missing(), 15, "the metrics as printed")
        w.stop()

        status = "curl -o /dev/null -w '%{http_code}' -X "
        base = " http://localhost:8080/api/tasks/"
        for path, method, want in (
                (ids[0] + "/redrive", "POST", "200"),
                (ids[0] + "/redrive", "POST", "404"),
                (task + "/redrive", "POST", "404"),
                (ids[1], "DELETE", "204"), (ids[1], "DELETE", "404"),
                (ids[1], "GET", "404")):
            self.assertEqual(self.sh(status + method + base + path), want,
                             (method, path))
        self.assertEqual(self.task(ids[0])["status"], "pending")

    def test_three_types_in_the_order_of_the_selection(self):
        """Queued from background to urgent while the one place to run in is
        taken."""
        printed = re.findall(r"(?m)^curl.*\n.*$", PRIORITIES.replace(
            "{...}", "{}"))
        types = ["background", "normal", "urgent"]
        for mode, want in (("priority", types[::-1]), ("fifo", types),
                           ("lifo", types[::-1])):
            with self.subTest(mode), Stack(
                    api="taskdaemon", location="taskmq_auth off;", aof=False,
                    handlers={t: {"instances": 1} for t in types + ["first"]}
                    ) as s:
                s.worker(env={"DAEMON_WORKERS": "1",
                              "DAEMON_TASK_SELECTION": mode})
                # each has a process that is ready
                for n, kind in enumerate(types + ["first"]):
                    data = {"until": s.dir + "/go"} if kind == "first" else {}
                    s.post("/queue", {"type": kind, "data": data}, token=None)
                    wait_for(lambda: len(s.marks()) == 2 * n + (
                        1 if kind == "first" else 2), 15)
                tasks = {json.loads(self.sh(line, s))["task_id"]: t
                         for line, t in zip(printed[::-1], types)}
                s.path("go", b"")
                wait_for(lambda: s.stat("success") == 7, 30)
                self.assertEqual([tasks[m["id"]] for m in s.marks()
                                  if m["what"] == "start"
                                  and m["id"] in tasks], want)


if __name__ == "__main__":
    unittest.main()

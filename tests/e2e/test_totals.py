"""Counters are exact, and the same whoever is asked."""

import time
import unittest

from harness import NGINX, Stack, free_port, wait_for
from layout import LIMITS


class Totals(unittest.TestCase):

    def test_exact_and_the_same_everywhere(self):
        """Two nginx and two workers on one Redis; every nginx says the same
        totals, and they are what was done."""
        with Stack(handlers={"t": {"instances": 2}}, nginx_workers=2) as s:
            s.cli("config", "set", "retry_wait_ms", "10")
            other = free_port()
            text = s.nginx_conf()
            for a, b in ((":%d;" % s.port, ":%d;" % other),
                         ("pid nginx.pid", "pid other.pid"),
                         (":%d" % s.port2, ":%d" % free_port()),
                         ("error_log error.log", "error_log other-error.log")):
                self.assertIn(a, text)
                text = text.replace(a, b)
            s.start("nginx", [NGINX, "-p", s.dir, "-c",
                              s.path("other.conf", text.encode()),
                              "-e", s.path("other-error.log")])
            s.worker()
            s.worker()

            def metrics(port):
                mine, s.port = s.port, port
                try:
                    r = s.get("/monitor/metrics", token=None)
                except OSError:
                    return None
                finally:
                    s.port = mine
                return r.status == 200 and r.body.decode()

            wait_for(lambda: metrics(other), 10)
            for i in range(40):
                s.add("t", {"fail": "x"} if i % 4 == 0 else {})
            for _ in range(5):
                s.add("t", {"fail": "x", "retryable": True}, max_retries=2)
            for _ in range(3):
                s.post("/cancel", {"job_id": s.add("nobody")})
            s.add("nobody")
            wait_for(lambda: s.stat("success") == 30
                     and s.stat("failed") == 15, 30)
            wait_for(lambda: s.counted("t")[1] == 0, 10)
            names = ("taskmq_jobs_total", "taskmq_job_duration_seconds",
                     "taskmq_retries_total", "taskmq_queue_depth",
                     "taskmq_workers", "tasks_received_total",
                     "tasks_processed_total", "queue_size")

            def totals(port):
                return [line for line in metrics(port).splitlines()
                        if line.startswith(names)]

            # each process reads them once a second, whoever it is that answers
            old = time.monotonic() + LIMITS["STATS_MS"] / 1000
            wait_for(lambda: time.monotonic() > old, 10)
            pages = [totals(port) for port in (s.port, other)
                     for _ in range(3)]
            for page in pages:
                self.assertEqual(page, pages[0])
            for line in ('taskmq_jobs_total{status="success"} 30',
                         'taskmq_jobs_total{status="failed"} 15',
                         'taskmq_jobs_total{status="cancelled"} 3',
                         "taskmq_job_duration_seconds_count 30",
                         'taskmq_job_duration_seconds_bucket{le="+Inf"} 30',
                         "taskmq_retries_total 10", "taskmq_workers 2",
                         "tasks_received_total 49",
                         'tasks_processed_total{status="success"} 30',
                         'tasks_processed_total{status="failed"} 15',
                         "queue_size 1"):
                self.assertIn(line, pages[0])


if __name__ == "__main__":
    unittest.main()

"""Celery over Redis; results are not asked for."""
import os
import sys
import time

import celery

sock = os.environ["REDIS_SOCK"]
app = celery.Celery("celery_app", broker="redis+socket://" + sock)
app.conf.task_ignore_result = True
app.conf.worker_hijack_root_logger = False
app.conf.task_acks_late = False

PAYLOAD = {"to": "someone@example.org", "subject": "hello", "order": 1234567,
           "text": "x" * 28}


@app.task(name="noop")
def noop(payload):
    return None


if __name__ == "__main__":
    n = int(sys.argv[1])
    start = time.perf_counter()
    for _ in range(n):
        noop.delay(PAYLOAD)
    print(n / (time.perf_counter() - start))

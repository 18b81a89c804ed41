"""RQ: python3 rq_jobs.py one|many N SOCKET prints jobs per second."""
import sys
import time

import redis
import rq

PAYLOAD = {"to": "someone@example.org", "subject": "hello", "order": 1234567,
           "text": "x" * 28}


def noop(payload):
    return None


if __name__ == "__main__":
    import rq_jobs
    how, n, sock = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    conn = redis.Redis(unix_socket_path=sock)
    queue = rq.Queue("default", connection=conn)
    start = time.perf_counter()
    if how == "one":
        for _ in range(n):
            queue.enqueue(rq_jobs.noop, PAYLOAD)
    else:
        for i in range(0, n, 1000):
            queue.enqueue_many([
                rq.Queue.prepare_data(rq_jobs.noop, (PAYLOAD,))
                for _ in range(min(1000, n - i))])
    print(n / (time.perf_counter() - start))

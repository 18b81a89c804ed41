"""python3 rq_worker.py fork|simple SOCKET: RQ's worker."""
import sys

import redis
import rq

kind = rq.Worker if sys.argv[1] == "fork" else rq.SimpleWorker
conn = redis.Redis(unix_socket_path=sys.argv[2])
kind(["default"], connection=conn).work(logging_level="WARNING")

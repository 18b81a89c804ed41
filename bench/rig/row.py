"""A row: one system doing one work."""

# id: (title, unit, True when more is better)
WORKS = {
    "http-1": ("HTTP enqueue, one job per request, 1 front process",
               "jobs/s", True),
    "http-2": ("HTTP enqueue, one job per request, 2 front processes",
               "jobs/s", True),
    "bulk": ("Enqueue 1,000 jobs per call", "jobs/s", True),
    "native": ("Enqueue without HTTP, one job per call", "jobs/s", True),
    "drain": ("No-op drain of a loaded queue", "jobs/s", True),
    "drain-python": ("The same through Python processes", "jobs/s", True),
    "real": ("Drain through Python processes on one CPU that work 0.1 or 1 ms "
             "of it per job", "jobs/s", True),
    "drain-library": ("The same through a native library", "jobs/s", True),
    "idle": ("Enqueue to result on an idle system", "ms (p50)", False),
    "due": ("10,000 scheduled jobs falling due: the last is done after",
            "ms", False),
    "depth-enqueue": ("HTTP enqueue by jobs that wait already", "jobs/s",
                      True),
    "depth-drain": ("No-op drain by jobs that wait", "jobs/s", True),
    "payload": ("HTTP enqueue by size of the payload", "jobs/s", True),
    "memory-waiting": ("Memory of the store per waiting job, 100-byte "
                       "payload", "bytes", False),
    "memory-finished": ("Memory of the store per finished job", "bytes",
                        False),
    "memory-worker": ("Memory of the worker daemon, 8 idle handlers", "MB",
                      False),
}


class Row:
    """fn(ctx) measures and returns a Result. limit: not a queue, but what
    bounds one. aof: also with the append-only file."""

    def __init__(self, work, system, fn, place="one", aof=True, limit=False,
                 full=False, note=""):
        if work not in WORKS:
            raise ValueError(work)
        self.work, self.system, self.fn = work, system, fn
        self.place, self.aof, self.limit = place, aof, limit
        self.full, self.note = full, note

    def __repr__(self):
        return "%s/%s" % (self.work, self.system)

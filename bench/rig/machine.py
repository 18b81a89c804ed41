"""The machine: what it is, and whether it was quiet."""

import hashlib
import os
import platform
import time

NOISY = 1.15      # a fixed loop that takes so much longer than its best
BLOCK = b"x" * (1 << 20)


def _loop():
    start = time.perf_counter()
    for _ in range(40):
        hashlib.sha256(BLOCK).digest()
    n = 0
    for i in range(400000):
        n += i
    return time.perf_counter() - start


def fixed_loop():
    """Seconds that the same work takes on each CPU now, wall clock: other
    programs and other machines on this host make it longer."""
    was = os.sched_getaffinity(0)
    out = {}
    try:
        for cpu in sorted(was):
            os.sched_setaffinity(0, {cpu})
            out[cpu] = min(_loop() for _ in range(2))
    finally:
        os.sched_setaffinity(0, was)
    return out


def load1():
    with open("/proc/loadavg") as f:
        return float(f.read().split()[0])


class Noise:
    """One look before and after each round."""

    def __init__(self):
        self.looks = []

    def look(self, when):
        self.looks.append({"when": when, "load1": load1(),
                           "loop_s": fixed_loop()})
        return self.looks[-1]

    def verdict(self):
        worst = 1.0
        for cpu in self.looks[0]["loop_s"]:
            times = [look["loop_s"][cpu] for look in self.looks]
            worst = max(worst, max(times) / min(times))
        return {"worst": round(worst, 3), "limit": NOISY,
                "noisy": worst > NOISY, "looks": self.looks}


def wait_quiet(limit, seconds):
    """Waits until the load is below limit; what it was in the end."""
    end = time.monotonic() + seconds
    while load1() > limit and time.monotonic() < end:
        time.sleep(5)
    return load1()


def describe():
    cpu = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as f:
        mem = int(f.readline().split()[1]) // 1024
    release = ""
    try:
        with open("/etc/os-release") as f:
            release = dict(line.strip().split("=", 1) for line in f
                           if "=" in line).get("PRETTY_NAME", "").strip('"')
    except OSError:
        pass
    return {"cpu": cpu, "cpus": os.cpu_count(), "memory_mb": mem,
            "kernel": platform.release(), "system": release}

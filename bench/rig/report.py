"""What was measured, as JSON and as a table of medians."""

import datetime
import json
import os

from . import chart, machine
from .row import WORKS
from .stats import median

OURS = "TaskMQ for nginx"


def brief(result):
    jobs = result.jobs or 0
    cpu = " ".join("%s %.1f us" % (role, 1e6 * s / jobs)
                   for role, s in sorted(result.cpu.items())) if jobs else ""
    more = " ".join("%s=%.4g" % kv for kv in sorted(result.more.items()))
    return cpu + (" " if cpu and more else "") + more


def summary(key, runs):
    """One row of the table from its rounds."""
    work, aof, system = key
    results = [r for _, _, r in runs]
    values = [r.value for r in results]
    row = runs[0][1]
    out = {
        "work": work, "system": system, "aof": aof, "limit": row.limit,
        "unit": WORKS[work][1], "rounds": {n: r.value for n, _, r in runs},
        "median": median(values), "min": min(values), "max": max(values),
        "cpus": row.place, "commands": results[-1].commands,
    }
    costs = [r for r in results if r.jobs]
    if costs:
        out["cpu_s_per_10000_jobs"] = {
            role: round(median([1e4 * r.cpu.get(role, 0) / r.jobs
                                for r in costs]), 4)
            for role in sorted({k for r in costs for k in r.cpu})}
    out["peak_mb"] = {
        role: round(max(r.peak_kb.get(role, 0) for r in results) / 1024, 1)
        for role in sorted({k for r in results for k in r.peak_kb})}
    for name in sorted({k for r in results for k in r.more}):
        out[name] = median([r.more[name] for r in results if name in r.more])
    return out


def ratio(a, b):
    """a over b inside the rounds that have both: median; None: none has."""
    both = [n for n in a["rounds"] if n in b["rounds"] and b["rounds"][n]]
    if not both:
        return None
    return median([a["rounds"][n] / b["rounds"][n] for n in both])


# What BENCH.md asks for: (name, work, ours, work, other, floor, goal); each
# a ratio inside a round.
RATIOS = [
    ("HTTP enqueue against return 200", "http-1", OURS, "nginx return 200",
     0.48, 0.60),
    ("HTTP enqueue against nginx + Lua", "http-1", OURS, "nginx + Lua",
     2.2, 2.6),
    ("no-op drain against the limit", "drain", OURS + ", builtin",
     "limit: ack and claim in one write, batch 100", 0.85, 1.2),
    ("no-op drain against beanstalkd", "drain", OURS + ", builtin",
     "beanstalkd, reserve and delete", 1.4, 2),
    ("no-op drain against BullMQ", "drain", OURS + ", builtin",
     "BullMQ, concurrency 100", 5, 8),
    ("enqueue, 5 million waiting against none", "depth-enqueue",
     OURS + ", 5 million waiting", OURS + ", 0 waiting", 0.85, 0.95),
    ("drain, 5 million more waiting against none", "depth-drain",
     OURS + ", 5 million more waiting", OURS + ", 0 more waiting",
     0.85, 0.95),
]

# (name, work, ours, field, floor, goal, True when more is better)
SIZES = [
    ("HTTP bulk enqueue, jobs/s", "bulk", OURS + " (HTTP)", "median",
     110000, 200000, True),
    ("idle enqueue to result over HTTP, p50 ms", "idle",
     OURS + ", builtin, over HTTP", "median", 1.2, 0.7, False),
    ("idle enqueue to result over HTTP, p99 ms", "idle",
     OURS + ", builtin, over HTTP", "p99_ms", 4, 2, False),
    ("memory per waiting job, bytes", "memory-waiting", OURS, "median",
     400, 320, False),
    ("memory of the worker, MB", "memory-worker", "taskmq-worker", "median",
     10, 5, False),
]

# (name, work, ours, role, floor, goal): CPU of a role, us a job
COSTS = [
    ("8 Python processes, us of Redis a job", "drain-python",
     OURS + ", 8 processes", "store", 22, 16),
    ("1 Python process, us of Redis a job", "drain-python",
     OURS + ", 1 process", "store", 70, 60),
]


def goals(rows):
    """(name, value, floor, goal, reached) of what was measured."""
    find = {(r["work"], r["aof"], r["system"]): r for r in rows}
    out = []

    def judge(name, value, floor, goal, more):
        ok = [value >= x if more else value <= x for x in (floor, goal)]
        out.append({"name": name, "value": value, "floor": floor,
                    "goal": goal, "reached": "goal" if ok[1] else
                    "floor" if ok[0] else "no"})

    for name, work, ours, other, floor, goal in RATIOS:
        a = find.get((work, False, ours))
        b = find.get((work, False, other))
        if a and b and ratio(a, b) is not None:
            judge(name, ratio(a, b), floor, goal, True)
    for name, work, ours, field, floor, goal, more in SIZES:
        a = find.get((work, False, ours))
        if a:
            judge(name, a[field], floor, goal, more)
    for name, work, ours, role, floor, goal in COSTS:
        a = find.get((work, False, ours))
        if a and role in a.get("cpu_s_per_10000_jobs", {}):
            judge(name, 100 * a["cpu_s_per_10000_jobs"][role], floor, goal,
                  False)
    for r in rows:
        plain = find.get((r["work"], False, r["system"]))
        if r["aof"] and plain and r["system"].startswith(OURS):
            value = ratio(r, plain)
            if value is not None:
                better = WORKS[r["work"]][2]
                judge("AOF everysec against none: %s, %s" % (
                    r["work"], r["system"]),
                    value if better else 1 / value, 0.6, 0.8, True)
    return out


def number(x):
    if x >= 100:
        return "{:,.0f}".format(x)
    return "%.2f" % x if x < 10 else "%.1f" % x


def table(rows, judged, data):
    out = ["# %s" % data["date"], "",
           "%(cpu)s, %(cpus)d CPUs, %(memory_mb)d MB, %(system)s, Linux "
           "%(kernel)s." % data["machine"],
           ", ".join("%s %s" % v for v in sorted(data["versions"].items()))
           + ".", ""]
    noise = data["noise"]
    out += ["%d rounds. A fixed loop before and after each round took up to "
            "%.2f times its best: %s." % (
                data["rounds"], noise["worst"],
                "the machine was too noisy to judge" if noise["noisy"]
                else "quiet enough"), ""]
    if judged:
        out += ["| | measured | floor | goal | reached |",
                "|---|--:|--:|--:|---|"]
        out += ["| %s | %s | %s | %s | %s |" % (
            j["name"], number(j["value"]), number(j["floor"]),
            number(j["goal"]), j["reached"]) for j in judged]
        out.append("")
    for work, (title, unit, _) in WORKS.items():
        for aof in (False, True):
            mine = [r for r in rows if r["work"] == work and r["aof"] == aof]
            if not mine:
                continue
            out += ["## %s%s" % (title, ", AOF everysec" if aof else ""), "",
                    "| | %s, median | range | p50 / p99 ms | CPU s per 10,000 "
                    "jobs | peak MB |" % unit, "|---|--:|--:|--:|---|---|"]
            for r in mine:
                cpu = r.get("cpu_s_per_10000_jobs", {})
                p50 = r.get("p50_ms", r["median"]
                            if "ms" in unit else None)
                out.append("| %s | %s | %s–%s | %s | %s | %s |" % (
                    r["system"], number(r["median"]), number(r["min"]),
                    number(r["max"]),
                    "%s / %s" % (number(p50), number(r["p99_ms"]))
                    if "p99_ms" in r else "",
                    ", ".join("%s %.3f" % kv for kv in cpu.items()),
                    ", ".join("%s %.0f" % kv for kv in
                              r["peak_mb"].items() if kv[0] != "load")))
            out.append("")
    return "\n".join(out)


def write(o, results, failures, noise, versions):
    rows = [summary(k, v) for k, v in results.items()]
    data = {
        "date": datetime.datetime.now(datetime.timezone.utc)
        .strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": o.rounds, "seconds": o.seconds, "scale": o.scale,
        "machine": machine.describe(), "noise": noise, "versions": versions,
        "rows": rows, "goals": goals(rows),
        "failed": {"%s / %s%s" % (w, s, " / AOF" if a else ""): why
                   for (w, a, s), why in failures.items()},
    }
    os.makedirs(o.out, exist_ok=True)
    for name, text in (
            ("results.json", json.dumps(data, indent=1) + "\n"),
            ("table.md", table(rows, data["goals"], data)),
            ("chart.svg", chart.svg(rows))):
        with open(os.path.join(o.out, name), "w") as f:
            f.write(text)
    print("\nwritten: %s" % o.out)
    for j in data["goals"]:
        print("%-60s %10s  floor %s, goal %s: %s" % (
            j["name"], number(j["value"]), number(j["floor"]),
            number(j["goal"]), j["reached"]))
    if noise["noisy"]:
        print("the machine was too noisy to judge: a fixed loop took %.2f "
              "times its best" % noise["worst"])

#!/usr/bin/env python3
"""Side by side with what a user would pick instead.

    bench/run.py [--quick] [--rounds N] [--works http-1,drain] [--full] ...

Every round goes through all works, and in each work through all systems, one
after another (A B C, A B C), so that what changes on the machine changes for
all. Ratios are taken inside a round. Ends with 1 when a system could not be
run, and names it."""

import argparse
import importlib
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from rig import machine, report                              # noqa: E402
from rig.ctx import Ctx                                      # noqa: E402
from rig.proc import Failed                                  # noqa: E402
from rig.row import WORKS                                    # noqa: E402


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--quick", action="store_true",
                   help="one short round: shows that it works, no more")
    p.add_argument("--rounds", type=int, help="default 3")
    p.add_argument("--seconds", type=int,
                   help="of load on a web server, default 5")
    p.add_argument("--full", action="store_true",
                   help="also 5 million waiting jobs")
    p.add_argument("--works", help="only these, by comma: " + ", ".join(WORKS))
    p.add_argument("--systems", help="only systems whose name has this text")
    p.add_argument("--persistence", choices=["none", "aof", "both"],
                   default="both", help="none, AOF everysec, or both")
    p.add_argument("--quiet-load", type=float, default=0.7,
                   help="wait for a load below this before each round (0.7)")
    p.add_argument("--quiet-wait", type=int, default=300,
                   help="but no longer than so many seconds")
    p.add_argument("--out", default=os.path.join(HERE, "results"))
    o = p.parse_args()
    o.rounds = o.rounds or (1 if o.quick else 3)
    o.seconds = o.seconds or (2 if o.quick else 5)
    o.scale = 0.3 if o.quick else 1.0
    o.drain_timeout = 120
    o.works = o.works.split(",") if o.works else list(WORKS)
    for w in o.works:
        if w not in WORKS:
            p.error("no such work: " + w)
    return o


def modules():
    names = sorted(f[:-3] for f in os.listdir(os.path.join(HERE, "systems"))
                   if f.endswith(".py") and not f.startswith("__"))
    return [importlib.import_module("systems." + n) for n in names]


def plan(o, mods):
    """(work, aof, [rows]) in the order of running."""
    rows = [r for m in mods for r in m.ROWS
            if (not o.systems or o.systems.lower() in r.system.lower())
            and (o.full or not r.full)]
    out = []
    for work in o.works:
        mine = sorted((r for r in rows if r.work == work),
                      key=lambda r: not r.limit)
        if o.persistence != "aof":
            out.append((work, False, mine))
        if o.persistence != "none":
            out.append((work, True, [r for r in mine if r.aof]))
    return [p for p in out if p[2]]


def measure(o, row, aof):
    with Ctx(o, aof, row.place) as ctx:
        return row.fn(ctx)


def main():
    o = options()
    mods = modules()
    noise = machine.Noise()
    results, failures = {}, {}
    for n in range(o.rounds):
        load = machine.wait_quiet(o.quiet_load, o.quiet_wait)
        if load > o.quiet_load:
            print("the machine is not quiet: load %.2f" % load, flush=True)
        noise.look("before round %d" % (n + 1))
        for work, aof, rows in plan(o, mods):
            for row in rows:
                key = (work, aof, row.system)
                began = time.time()
                try:
                    result = measure(o, row, aof)
                except Failed as e:
                    failures[key] = str(e)
                    print("FAILED %s, %s: %s" % (work, row.system, e),
                          flush=True)
                    continue
                except Exception:
                    failures[key] = traceback.format_exc()
                    print("FAILED %s, %s:\n%s" % (
                        work, row.system, traceback.format_exc()), flush=True)
                    continue
                results.setdefault(key, []).append((n, row, result))
                print("%d %-14s %-4s %-34s %12.2f %-9s %s (%.0f s)" % (
                    n + 1, work, "aof" if aof else "", row.system,
                    result.value, WORKS[work][1], report.brief(result),
                    time.time() - began), flush=True)
        noise.look("after round %d" % (n + 1))
    versions = {}
    for m in mods:
        versions.update(m.versions())
    report.write(o, results, failures, noise.verdict(), versions)
    for (work, aof, system), why in failures.items():
        print("could not be run: %s (%s%s): %s" % (
            system, work, ", AOF" if aof else "", why.split("\n")[0]),
            file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

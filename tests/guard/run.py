#!/usr/bin/env python3
"""Counts instructions, not seconds: fixed requests through nginx, fixed jobs
through the worker, fixed script calls through redis-server, each under
callgrind, against budget.json. More than 10 % above the budget fails.

    run.py [--build DIR] [--only nginx|worker|redis] [--update] [--prove]

--update writes what was counted as the new budget. --prove counts Redis with
a script that was made slower on purpose, and fails when nobody notices."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUDGET = os.path.join(HERE, "budget.json")
SLACK = 0.10
sys.path.insert(0, HERE)


def count(o):
    os.environ["BUILD"] = o.build
    import guard_nginx
    import guard_redis
    import guard_worker
    out = {}
    if o.only in (None, "redis"):
        out.update(guard_redis.measure())
    if o.only in (None, "worker"):
        out.update(guard_worker.measure(o.build))
    if o.only in (None, "nginx"):
        out.update(guard_nginx.measure(o.build))
    return {name: round(n) for name, n in out.items()}


def prove(o):
    """A claim that does some more per job."""
    folder = tempfile.mkdtemp(prefix="taskmq-guard-")
    try:
        lua = os.path.join(folder, "lua")
        shutil.copytree(os.path.join(ROOT, "libtaskmq", "lua"), lua)
        for header in ("tq_limits.h", "tq_layout.h"):   # embed.sh reads them
            shutil.copy(os.path.join(ROOT, "libtaskmq", header), folder)
        with open(os.path.join(lua, "claim.lua")) as f:
            text = f.read()
        line = "                held[nheld] = id\n"
        slow = text.replace(line, 2 * "                "
                            "fmt('%d %d %d %d', 1, 2, 3, 4)\n" + line)
        if slow == text:
            sys.exit("guard: claim.lua has changed, so must prove()")
        with open(os.path.join(lua, "claim.lua"), "w") as f:
            f.write(slow)
        said = subprocess.run(
            [sys.executable, __file__, "--build", o.build, "--only", "redis"],
            env=dict(os.environ, TMQ_LUA=lua), stderr=subprocess.PIPE,
            text=True).stderr
    finally:
        shutil.rmtree(folder)
    print(said, end="")
    if "guard: redis: claim and complete, 100 jobs" not in said:
        sys.exit("guard: a slower claim was not noticed")
    print("a slower claim was noticed, as it should be")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    p.add_argument("--only", choices=["nginx", "worker", "redis"])
    p.add_argument("--update", action="store_true")
    p.add_argument("--prove", action="store_true")
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    if o.prove:
        return prove(o)

    counted = count(o)
    try:
        with open(BUDGET) as f:
            budget = json.load(f)
    except FileNotFoundError:
        budget = {}
    if o.update:
        budget.update(counted)
        with open(BUDGET, "w") as f:
            json.dump(budget, f, indent=1, sort_keys=True)
            f.write("\n")

    bad = []
    for name, n in counted.items():
        was = budget.get(name)
        if was is None:
            bad.append("%s: %d instructions, and no budget" % (name, n))
            continue
        print("%-50s %8d  budget %8d  %+.1f %%" % (
            name, n, was, 100 * (n / was - 1)))
        if n > was * (1 + SLACK):
            bad.append("%s: %d instructions, more than %d + 10 %%" % (
                name, n, was))
    for text in bad:
        print("guard: " + text, file=sys.stderr)
    print("%d passed, %d failed" % (len(counted) - len(bad), len(bad)))
    return 1 if bad or not counted else 0


if __name__ == "__main__":
    sys.exit(main())

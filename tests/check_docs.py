#!/usr/bin/env python3
"""Holds the documents and the tests together: docs/testing.md's table names
every test file and no other, and every patch of tests/mutants names a section
of docs/internals/traps.md, which has no section without a patch. Also holds
docs/redis-schema.md and libtaskmq/tq_layout.h together.

Ends with "N passed, N failed"."""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = "## What is tested where\n"

# column of the table: where its files are
COLUMNS = {"unit": "tests/unit/test_%s.c", "scripts": "tests/scripts/test_%s.py",
           "specs": "t/%s.t", "e2e": "tests/e2e/test_%s.py",
           "fault": "tests/fault/test_%s.py", "fuzz": "tests/fuzz/fuzz_%s.c"}


def read(name):
    with open(os.path.join(ROOT, name)) as f:
        return f.read()


def there(pattern):
    """The names of the files that there are."""
    before, after = os.path.join(ROOT, pattern).split("%s")
    return {path[len(before):-len(after)]
            for path in glob.glob(before + "*" + after)}


def in_table():
    """{column: names} of the table."""
    text = read("docs/testing.md").partition(TABLE)[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")]
            for line in text.splitlines() if line.startswith("|")]
    out = {name: set() for name in rows[0][1:]}
    for row in rows[2:]:
        for name, cell in zip(rows[0][1:], row[1:]):
            out[name] |= set(re.findall(r"`([^`]+)`", cell))
    return out


def index():
    named = in_table()
    if named.keys() != COLUMNS.keys():
        yield "docs/testing.md: the columns are %s" % ", ".join(named)
        return
    for column, pattern in COLUMNS.items():
        for name in sorted(there(pattern) - named[column]):
            yield "docs/testing.md: %s is in no row" % (pattern % name)
        for name in sorted(named[column] - there(pattern)):
            yield "docs/testing.md: there is no %s" % (pattern % name)


def traps():
    page = "docs/internals/traps.md"
    sections = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
                for title in re.findall(r"(?m)^## (.+)$", read(page))}
    used = set()
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/mutants/*.patch"))):
        name = os.path.relpath(path, ROOT)
        m = re.match(r"Trap: .+\nSee: %s#(\S+)\nTest: \w+ \S+\n\n--- a/"
                     % re.escape(page), read(name))
        if m is None:
            yield "%s: it does not begin with Trap:, See: %s#…, Test:" % (
                name, page)
        elif m[1] not in sections:
            yield "%s: %s has no section #%s" % (name, page, m[1])
        else:
            used.add(m[1])
    for section in sorted(sections - used):
        yield "%s: no patch names #%s" % (page, section)


def schema():
    """Each field of tq_layout.h is a row of docs/redis-schema.md, and no other
    is; TQ_JOB_HEAD and TQ_RUN_TOKEN are several fields together."""
    page = "docs/redis-schema.md"
    for key, title in (("JOB", "## The job"), ("RUN", "## The run")):
        text = read(page).partition(title)[2].partition("\n## ")[0]
        rows = {tuple(map(int, re.findall(r"\d+", cell)))
                for cell in re.findall(r"(?m)^\| ([\d–]+) \|", text)}
        fields = {name: (int(first), int(last)) for name, first, last in
                  re.findall(r"(?m)^#define (TQ_%s_\w+) +(\d+), (\d+)" % key,
                             read("libtaskmq/tq_layout.h"))
                  if name not in ("TQ_JOB_HEAD", "TQ_RUN_TOKEN")}
        places = {name: at[:1] if at[0] == at[1] else at
                  for name, at in fields.items()}
        for name, at in places.items():
            if at not in rows:
                yield "%s: no row has %s, bytes %s" % (
                    page, name, "–".join(map(str, at)))
        for at in sorted(rows - set(places.values())):
            yield "%s: bytes %s are no field of tq_layout.h" % (
                page, "–".join(map(str, at)))


def main():
    failed = 0
    for check in CHECKS:
        wrong = list(check())
        failed += bool(wrong)
        for line in wrong:
            print(line, file=sys.stderr)
    print("%d passed, %d failed" % (len(CHECKS) - failed, failed))
    return failed != 0


CHECKS = index, traps, schema


if __name__ == "__main__":
    sys.exit(main())

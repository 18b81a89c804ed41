"""Numbers that the C sources and the scripts have from one place: limits
(libtaskmq/tq_limits.h), and where the fields of the two records stand
(libtaskmq/tq_layout.h)."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def numbers_of(header):
    """{name without TQ_: number, or (first, last)} of a header's #defines."""
    out = {}
    with open(os.path.join(ROOT, "libtaskmq", header)) as f:
        text = f.read().replace("\\\n", " ")
    for name, value in re.findall(r"^#define TQ_(\w+) +([(0-9][^/\n]*)", text,
                                  re.M):
        value = re.sub(r"TQ_(\w+)", lambda m: str(out[m[1]]),
                       value.replace("LL", ""))
        out[name] = eval(value, {"__builtins__": {}})
    return out


LIMITS = numbers_of("tq_limits.h")
LAYOUT = numbers_of("tq_layout.h")


def field(record, name):
    """A field of a record or of a run, by its name in tq_layout.h."""
    first, last = LAYOUT[name]
    return record[first - 1:last]


def at(name):
    """Where a field begins, for SETRANGE."""
    return LAYOUT[name][0] - 1

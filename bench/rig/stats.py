"""Percentiles and medians."""

import statistics

from .ctx import Result
from .proc import Failed


def percentiles(ctx, ms):
    """Latencies in ms: the value is the median."""
    if len(ms) < 20:
        raise Failed("only %d samples" % len(ms))
    ms = sorted(ms)
    return ctx.done(Result(
        ms[len(ms) // 2], p90_ms=ms[int(len(ms) * 0.9)],
        p99_ms=ms[int(len(ms) * 0.99)], samples=len(ms)))


def median(values):
    return statistics.median(values)

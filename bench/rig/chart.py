"""A chart of medians and ranges: bars per work, one scale per work."""

from html import escape

from .row import WORKS

WIDTH, LABEL, BAR, ROW, GAP = 900, 330, 430, 20, 46
OURS, LIMIT, PEER = "#00796b", "#b0bec5", "#78909c"
SHOWN = ["http-1", "http-2", "bulk", "drain", "drain-python", "real", "idle",
         "due", "memory-waiting"]


def _text(x, y, text, anchor="start", weight="normal", size=12):
    return ('<text x="%.1f" y="%.1f" text-anchor="%s" font-weight="%s" '
            'font-size="%d">%s</text>' % (x, y, anchor, weight, size,
                                          escape(text)))


def _number(x):
    return "{:,.0f}".format(x) if x >= 100 else "%.2f" % x


def _work(work, rows, y):
    title, unit, more = WORKS[work]
    rows = sorted(rows, key=lambda r: r["median"], reverse=more)
    top = max(r["max"] for r in rows)
    out = [_text(0, y, "%s (%s, %s is better)" % (
        title, unit, "more" if more else "less"), weight="bold", size=13)]
    y += 10
    for r in rows:
        ours = r["system"].startswith(("TaskMQ", "taskmq"))
        color = OURS if ours else LIMIT if r["limit"] else PEER
        mid, low, high = (BAR * r[k] / top for k in ("median", "min", "max"))
        out.append(_text(LABEL - 8, y + 14, r["system"], "end",
                         "bold" if ours else "normal"))
        out.append('<rect x="%d" y="%.1f" width="%.1f" height="14" '
                   'fill="%s"/>' % (LABEL, y + 3, max(mid, 1), color))
        out.append('<path d="M%.1f %.1fH%.1f" stroke="#000" '
                   'stroke-width="1.5"/>' % (LABEL + low, y + 10,
                                             LABEL + high))
        out.append(_text(LABEL + high + 8, y + 14, _number(r["median"])))
        y += ROW
    return out, y + GAP - 10


def svg(rows):
    parts, y = [], 24
    for work in SHOWN:
        mine = [r for r in rows if r["work"] == work and not r["aof"]]
        if mine:
            more, y = _work(work, mine, y)
            parts += more
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'viewBox="-10 0 %d %d" font-family="sans-serif" fill="#222">\n'
            '<rect x="-10" width="%d" height="%d" fill="#fff"/>\n%s\n</svg>\n'
            % (WIDTH, y, WIDTH, y, WIDTH, y, "\n".join(parts)))

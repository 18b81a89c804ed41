"""What was measured, as JSON, as a table and as a chart."""


def brief(result):
    jobs = result.jobs or 0
    cpu = " ".join("%s %.1f us" % (role, 1e6 * s / jobs)
                   for role, s in sorted(result.cpu.items())) if jobs else ""
    more = " ".join("%s=%.4g" % kv for kv in sorted(result.more.items()))
    return cpu + (" " if cpu and more else "") + more


def write(o, results, failures, noise, versions):
    print(noise["worst"], versions)

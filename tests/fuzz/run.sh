#!/bin/sh
# run.sh DIR SECONDS TARGET ...: runs DIR/fuzz_TARGET for SECONDS each, one
# after the other, from its seeds and what earlier runs found. One line per
# target and a total; after a finding the log, and exit status 1. The input
# that did it is left in DIR.
set -u

dir=$1
seconds=$2
shift 2
here=$(dirname "$0")
passed=0
failed=0

for target in "$@"; do
    corpus=$dir/corpus/$target
    seeds=$here/seeds/$target
    log=$dir/$target.log
    mkdir -p "$corpus"
    [ -d "$seeds" ] || seeds=

    # shellcheck disable=SC2086 # no seeds: no argument
    if "$dir/fuzz_$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 \
        -dict="$here/json.dict" -artifact_prefix="$dir/$target-" \
        "$corpus" $seeds >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        if [ "${runs:-0}" -gt 100 ]; then
            echo "fuzz $target: $runs inputs in $seconds s, nothing found"
            passed=$((passed + 1))
            continue
        fi
        echo "fuzz $target: only ${runs:-0} inputs were run" >&2
    fi

    cat "$log" >&2
    echo "fuzz $target: failed" >&2
    failed=$((failed + 1))
done

echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ]

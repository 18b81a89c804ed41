#!/bin/sh
# run.sh DIR SECONDS TARGET ...: runs DIR/fuzz_TARGET for SECONDS each, as many
# at a time as there are processors, from its seeds and what earlier runs
# found. One line per target and a total; after a finding the log, and exit
# status 1. The input that did it is left in DIR.
set -u

dir=$1
seconds=$2
shift 2
here=$(dirname "$0")

run_target() {
    target=$1
    corpus=$dir/corpus/$target
    seeds=$here/seeds/$target
    log=$dir/$target.log
    mkdir -p "$corpus"
    [ -d "$seeds" ] || seeds=
    words=$here/json.dict
    [ "$target" = config ] && words=$here/toml.dict

    # shellcheck disable=SC2086 # no seeds: no argument
    if "$dir/fuzz_$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 \
        -dict="$words" -artifact_prefix="$dir/$target-" \
        "$corpus" $seeds >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        if [ "${runs:-0}" -gt 100 ]; then
            echo "fuzz $target: $runs inputs in $seconds s, nothing found"
            return 0
        fi
        echo "only ${runs:-0} inputs were run" >> "$log"
    fi

    { cat "$log"; echo "fuzz $target: failed"; } >&2
    return 1
}

if [ "${1-}" = --one ]; then
    run_target "$2"
    exit
fi

done=$dir/passed
: > "$done"
# shellcheck disable=SC2016 # for the inner shell
printf '%s\n' "$@" | xargs -P "$(nproc)" -I TARGET sh -c \
    'sh "$0" "$1" "$2" --one TARGET && echo TARGET >> "$3"' \
    "$0" "$dir" "$seconds" "$done"

passed=$(wc -l < "$done")
failed=$(($# - passed))
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ]

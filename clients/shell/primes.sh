#!/bin/sh
# A handler: {"limit": N} -> how many primes up to N, and the largest.
# Needs jq: shell and awk cannot read JSON.
#
# handlers.toml:
#     [handlers.primes]
#     command = ["sh", "clients/shell/primes.sh"]
#
# taskmq check-handler --data '{"limit":10}' -- sh clients/shell/primes.sh

command -v jq > /dev/null || { echo "primes.sh: needs jq" >&2; exit 127; }

# Prints the limit of the task on stdin, or fails and says why on stdout.
task_limit() {
    jq -er '.task_data
        | if has("limit") then .limit else 1000000 end
        | if type == "number" and . == floor and . >= 0 and . <= 10000000
          then . else "limit must be an integer from 0 to 10000000" | halt_error
          end' 2>&1
}

# primes LIMIT: prints the result. Only odd numbers are looked at.
primes() {
    awk -v limit="$1" 'BEGIN {
        count = limit >= 2; largest = count ? 2 : 0
        for (n = 3; n <= limit; n += 2) {
            if (n in composite) { delete composite[n]; continue }
            count++; largest = n
            for (m = n * n; m <= limit; m += 2 * n) composite[m]
        }
        printf "{\"limit\":%d,\"count\":%d,\"largest\":%d}",
               limit, count, largest
    }'
}

# stdout belongs to the protocol: everything else goes to stderr, which is the
# job's log. The loop ends with the input; the exit status is then 0.
# Every answer carries the task's id: it is never taken for another's.
while IFS= read -r line || [ -n "$line" ]; do
    id=$(printf '%s\n' "$line" | jq -c .task_id 2> /dev/null) || id=null
    if ! limit=$(printf '%s\n' "$line" | task_limit); then
        printf '%s' "$limit" \
            | jq -Rsc --argjson id "$id" '{status: "error", task_id: $id,
                  error: ., retryable: false}'
    elif ! result=$(primes "$limit"); then
        printf '{"status":"error","task_id":%s,"error":"awk failed",%s}\n' \
            "$id" '"retryable":true'
    else
        printf '{"status":"success","task_id":%s,"result":%s}\n' "$id" \
            "$result"
    fi
done

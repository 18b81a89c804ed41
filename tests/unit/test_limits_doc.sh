#!/bin/sh
# Holds docs/limits.md and libtaskmq/tq_limits.h together: every limit of the
# header stands in the document, with its value, and no other.
set -eu
cd "$(dirname "$0")/../.."

tmp=$(mktemp -d "${TMPDIR:-/tmp}/taskmq-limits.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

names=$(sed -n 's/^#define \(TQ_[A-Z0-9_]*\)[[:space:]].*/\1/p' \
        libtaskmq/tq_limits.h)

{
    echo '#include <stdio.h>'
    echo '#include "tq_limits.h"'
    echo 'int main(void) {'
    for n in $names; do
        printf 'printf("%s %%lld\\n", (long long) (%s));\n' "$n" "$n"
    done
    echo '}'
} > "$tmp/limits.c"

"${CC:-cc}" -Ilibtaskmq -o "$tmp/limits" "$tmp/limits.c"
"$tmp/limits" | sort > "$tmp/header"

# | 1,048,576 bytes | what | `TQ_NAME` |
# shellcheck disable=SC2016 # those are not command substitutions
sed -n 's/^| \([0-9,]*\)[ a-z]* | .* | `\(TQ_[A-Z0-9_]*\)` |$/\2 \1/p' \
    docs/limits.md | tr -d , | sort > "$tmp/doc"

if ! diff -u "$tmp/header" "$tmp/doc"; then
    echo "docs/limits.md (+) and libtaskmq/tq_limits.h (-) differ" >&2
    echo "0 passed, 1 failed"
    exit 1
fi

echo "1 passed, 0 failed"

#!/bin/sh
# Checks the scripts as they are put together: none uses a name that it does
# not declare, is longer than SCRIPT_MAX lines, and every file of lib can be
# read alone, with what it includes itself.
set -eu
cd "$(dirname "$0")"
# So long a script may be, put together, and so long all files may be.
script_max=350 all_max=2000
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

# What Redis' Lua has; anything else is a name that nobody declared.
known='^(redis|string|table|math|KEYS|ARGV|tonumber|tostring|pairs|ipairs|next|type|unpack|select)$'

check() {
    sed '1{/^#!lua/d}' "$1" > "$tmp/chunk"
    luac5.1 -l -o /dev/null "$tmp/chunk" > "$tmp/list" || { failed=1; return; }
    awk '$3 ~ /^[GS]ETGLOBAL$/ { print $NF }' "$tmp/list" | sort -u \
        > "$tmp/globals"
    while read -r global; do
        echo "$global" | grep -Eq "$known" ||
            { echo "$2: uses $global, which it does not declare"; failed=1; }
    done < "$tmp/globals"
    ! grep -q SETGLOBAL "$tmp/list" || { echo "$2: sets a global"; failed=1; }
}

for file in lua/*.lua; do
    name=${file##*/}
    sh embed.sh lua "${name%.lua}" > "$tmp/text"
    check "$tmp/text" "$file"
    lines=$(wc -l < "$tmp/text")
    [ "$lines" -le $script_max ] ||
        { echo "$file: $lines lines put together, more than $script_max"
          failed=1; }
done
for file in lua/lib/*.lua; do
    name=${file##*/}
    { echo '#!lua'; echo "--@include ${name%.lua}"; } > "$tmp/alone.lua"
    mkdir -p "$tmp/lua"; cp -r lua/lib "$tmp/lua/"
    cp tq_limits.h tq_layout.h "$tmp/"
    mv "$tmp/alone.lua" "$tmp/lua/alone.lua"
    sh embed.sh "$tmp/lua" alone > "$tmp/text"
    check "$tmp/text" "$file"
done
all=$(cat lua/*.lua lua/lib/*.lua | wc -l)
[ "$all" -le $all_max ] ||
    { echo "lua: $all lines, more than $all_max"; failed=1; }
echo "$all lines of Lua; $((1 - failed)) passed, $failed failed"
exit $failed

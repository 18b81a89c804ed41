#!/bin/sh
# Turns the Redis scripts into C, with the SHA-1 that names each one.
#
#   embed.sh LUADIR        prints the C file: tq_script_NAME for every
#                          LUADIR/NAME.lua, and tq_ops_scripts[]
#   embed.sh LUADIR NAME   prints one script's text as it is sent to Redis
#
# A line `--@include NAME ...` is replaced by LUADIR/lib/NAME.lua, unless a block
# around it has it already: so each file of lib names what it uses, and can be
# read alone; but lib/base.lua, which every script begins with. TQ_NAME is replaced by its number
# from tq_limits.h, or its bytes from tq_layout.h.
# The first line is Redis' "#!lua", with or without flags, or "--plain": such a
# script may read under any condition, and is refused where it writes.
# Indentation, blank lines and lines that are only a comment are left out: what
# is sent is small. That is safe because nothing that spans lines is allowed:
# long brackets, a backslash at the end of a line and bytes outside printable
# ASCII are refused, with file and line.

set -eu
LC_ALL=C
export LC_ALL

die() {
    echo "embed.sh: $*" >&2
    exit 1
}

[ $# -ge 1 ] || die "usage: embed.sh LUADIR [NAME]"
dir=$1
[ -d "$dir" ] || die "$dir: no such folder"

text() {
    awk -v dir="$dir" '
        function bad(file, n, why) {
            printf "%s:%d: %s\n", file, n, why > "/dev/stderr"
            exit 1
        }
        # #define TQ_NAME number-or-expression, and TQ_FIELD first, last
        function numbers(file,    line, w, value) {
            while ((getline line < file) > 0) {
                if (line !~ /^#define TQ_[A-Z0-9_]+ +[(0-9]/) {
                    continue
                }
                split(line, w, /[ ]+/)
                value = line
                sub(/^#define TQ_[A-Z0-9_]+ +/, "", value)
                sub(/ *\/\*.*/, "", value)
                gsub(/LL/, "", value)
                if (value ~ /^[0-9]+, [0-9]+$/) {
                    value_of[w[2] "_FIRST"] = value + 0
                    value_of[w[2] "_LAST"] = substr(value,
                                                    index(value, ",") + 2)
                }
                value_of[w[2]] = value
            }
            close(file)
        }
        function named(file, n, line,    out, name) {
            while (match(line, /TQ_[A-Z0-9_]+/)) {
                name = substr(line, RSTART, RLENGTH)
                if (!(name in value_of)) {
                    bad(file, n, "no such number: " name)
                }
                out = out substr(line, 1, RSTART - 1) value_of[name]
                line = substr(line, RSTART + RLENGTH)
            }
            return out line
        }
        # How much deeper in blocks the next line is.
        function deeper(line,    n) {
            gsub(/\047[^\047]*\047/, "", line)
            gsub(/[^a-z_]+/, " ", line)
            line = " " line " "
            gsub(/ /, "  ", line)
            n = gsub(/ (function|do|then|repeat) /, " ", line)
            return n - gsub(/ (elseif|end|until) /, " ", line)
        }
        # What was included in blocks that ended is to be included again.
        function leave(level,    name) {
            for (name in taken) {
                if (taken[name] > level) {
                    delete taken[name]
                }
            }
        }
        function include(file, n, names,    list, i, name) {
            split(names, list, / +/)
            for (i = 2; i in list; i++) {
                name = list[i]
                if (name !~ /^[a-z_]+$/) {
                    bad(file, n, "bad name to include: " name)
                }
                if (!(name in taken)) {
                    taken[name] = depth
                    take(dir "/lib/" name ".lua", 0)
                }
            }
            if (i == 2) {
                bad(file, n, "nothing to include")
            }
        }
        function take(file, top,    line, n, rc) {
            n = 0
            while ((rc = (getline line < file)) > 0) {
                n++
                if (n == 1 && top) {
                    if (line !~ /^(--plain|#!lua( flags=[a-z,-]+)?)$/) {
                        bad(file, n, "expected #!lua or --plain")
                    }
                    if (line != "--plain") {
                        print line
                    }
                    include(file, n, " base")
                    continue
                }
                gsub(/^[ \t]+|[ \t]+$/, "", line)
                if (line ~ /^--@include/) {
                    include(file, n, substr(line, 11))
                    continue
                }
                if (line ~ /[^ -~]/) {
                    bad(file, n, "a byte outside printable ASCII")
                }
                if (line ~ /\[=*\[/ || line ~ /\\$/) {
                    bad(file, n, "something that may span lines")
                }
                if (line == "" || line ~ /^--/) {
                    continue
                }
                print named(file, n, line)
                if (line ~ /^(else|elseif)([^a-z_]|$)/) {
                    leave(depth - 1)
                }
                depth += deeper(line)
                leave(depth)
            }
            if (rc < 0) {
                bad(file, n, "cannot be read")
            }
            close(file)
        }
        BEGIN {
            depth = 0
            numbers(dir "/../tq_limits.h")
            numbers(dir "/../tq_layout.h")
            take(ARGV[1], 1)
            exit 0
        }' "$1"
}

if [ $# -eq 2 ]; then
    text "$dir/$2.lua"
    exit 0
fi

tmp=$(mktemp) || die "no temporary file"
trap 'rm -f "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

cat <<'END'
/* Made by embed.sh from lua/: do not edit. */

#include "tq_ops.h"
#include "tq_scripts.h"
END

names=
for file in "$dir"/*.lua; do
    [ -f "$file" ] || die "$dir: no scripts"
    name=${file##*/}
    name=${name%.lua}
    text "$file" > "$tmp" || die "$file: not embedded"
    sha=$(sha1sum < "$tmp")
    sha=${sha%% *}
    len=$(wc -c < "$tmp")

    printf '\nconst tq_script_t  tq_script_%s = {\n    "%s",\n    "%s",\n' \
        "$name" "$name" "$sha"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$tmp"
    printf '    , %d\n};\n' "$len"
    names="$names $name"
done

printf '\nconst tq_script_t  *tq_ops_scripts[] = {\n'
for name in $names; do
    printf '    &tq_script_%s,\n' "$name"
done
printf '    NULL\n};\n'

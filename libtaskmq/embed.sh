#!/bin/sh
# Turns the Redis scripts into C, with the SHA-1 that names each one.
#
#   embed.sh LUADIR        prints the C file: tq_script_NAME for every
#                          LUADIR/NAME.lua, and tq_ops_scripts[]
#   embed.sh LUADIR NAME   prints one script's text as it is sent to Redis
#
# A line `--@include NAME` is replaced by LUADIR/lib/NAME.lua, which may include
# another; that one includes nothing.
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
        function take(file, depth,    line, n, rc, name) {
            n = 0
            while ((rc = (getline line < file)) > 0) {
                n++
                if (n == 1 && !depth) {
                    if (line !~ /^#!lua( flags=[a-z,-]+)?$/) {
                        bad(file, n, "expected #!lua")
                    }
                    print line
                    continue
                }
                gsub(/^[ \t]+|[ \t]+$/, "", line)
                if (line ~ /^--@include/) {
                    if (depth > 1) {
                        bad(file, n, "includes too deep")
                    }
                    name = substr(line, 12)
                    if (name !~ /^[a-z_]+$/) {
                        bad(file, n, "bad name to include: " name)
                    }
                    name = dir "/lib/" name ".lua"
                    if (name == file) {
                        bad(file, n, "includes itself")
                    }
                    take(name, depth + 1)
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
                print line
            }
            if (rc < 0) {
                bad(file, n, "cannot be read")
            }
            close(file)
        }
        BEGIN {
            take(ARGV[1], 0)
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

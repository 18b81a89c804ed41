#!/bin/sh
# Turns redis-acl.example into C: for each of its users tq_rights_ROLE, the
# commands that a handshake looks at. tests/e2e/test_acl.py holds the file equal
# to what the sources use.
#
#   rights.sh FILE         prints the C
#
# Left out: what the handshake sends itself and so proves, and INFO, which may
# be forbidden.

set -eu
LC_ALL=C
export LC_ALL

[ $# -eq 1 ] || { echo "usage: rights.sh FILE" >&2; exit 1; }

awk -v proved='client|setname evalsha info script|load select' '
    BEGIN {
        n = split(proved, names, " ")
        for (i = 1; i <= n; i++) {
            left_out[names[i]] = 1
        }
    }
    $1 != "user" || $2 !~ /^taskmq-[a-z]+$/ {
        print FILENAME ":" FNR ": expected user taskmq-ROLE" > "/dev/stderr"
        exit failed = 1
    }
    {
        printf "\nconst char  tq_rights_%s[] =\n", substr($2, 8)
        for (i = 3; i <= NF; i++) {
            name = substr($i, 2)
            if ($i ~ /^\+/ && !(name in left_out)) {
                printf "    \" %s\"\n", name
            }
        }
        print "    ;"
    }
    END {
        if (!failed && NR == 0) {
            print FILENAME ": no users" > "/dev/stderr"
            failed = 1
        }
        exit failed
    }' "$1"

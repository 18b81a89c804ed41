#!/bin/sh
# test_exports.sh MODULE: nginx loads all modules into one room (RTLD_GLOBAL),
# where the first that has a name is called by all. Of ours it sees the four
# names that nginx's loader needs, and ours asks it for nothing of a library
# that another module may bring along. One line: "N passed, N failed".
set -u
passed=0 failed=0

# check WHAT HAVE WANT
check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        echo "$module $1: $2"
        failed=$((failed + 1))
    fi
}

module=$1
check exports \
    "$(nm -D --defined-only "$module" | awk '{ print $3 }' | sort | xargs)" \
    "ngx_http_taskmq_module ngx_module_names ngx_module_order ngx_modules"

libs=$(readelf -d "$module" |
    sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | xargs)
case " $libs " in
    *hiredis* | *libjwt* | *jansson* | *cjson*) check libraries "$libs" "" ;;
    *) check libraries "" "" ;;
esac

names='redis|freeReplyObject|sds|jwt_|json_|cJSON_'
check imports "$(nm -D --undefined-only "$module" | awk '{ print $2 }' |
    grep -E "^($names)" | xargs)" ""

# -Bsymbolic: even its own names are not asked for in the room
check "asks for its own names" "$(readelf -rW "$module" |
    awk '$5 ~ /^ngx_(http_taskmq_module|modules|module_names|module_order)$/ {
        print $5 }' | xargs)" ""

echo "exports: $passed passed, $failed failed"
[ "$failed" = 0 ]

#!/bin/sh
# test_exports.sh MODULE: the module shows nginx's loader the four names that
# it needs, and nothing that could stand in for another module's (nginx loads
# modules RTLD_GLOBAL). One line, as other parts: "N passed, N failed".
set -u

want="ngx_http_taskmq_module ngx_module_names ngx_module_order ngx_modules"
have=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sort | xargs)

if [ "$have" = "$want" ]; then
    echo "exports: 1 passed, 0 failed"
else
    echo "$1 exports: $have"
    echo "exports: 0 passed, 1 failed"
    exit 1
fi

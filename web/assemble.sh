#!/bin/sh
# assemble.sh NODE_MODULES OUT: puts the API reference pages together from
# this folder and the two npm packages. docs/web.md describes the result.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: assemble.sh NODE_MODULES OUT" >&2
    exit 2
fi

modules=$1
out=$2
here=$(dirname "$0")

rm -rf "$out.new"
mkdir -p "$out.new"
cp -R "$here/taskmq" "$here/taskdaemon" "$out.new"

for page in taskmq/docs taskdaemon/swagger-ui; do
    for file in swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt \
        swagger-ui.css favicon-32x32.png LICENSE NOTICE; do
        cp "$modules/swagger-ui-dist/$file" "$out.new/$page"
    done
    # The maps are not installed: a browser's developer tools need not ask.
    sed -i '/^\/[/*]# sourceMappingURL=/d' \
        "$out.new/$page/swagger-ui-bundle.js" "$out.new/$page/swagger-ui.css"
done

redoc=$out.new/taskmq/redoc
cp "$modules/redoc/LICENSE" \
    "$modules/redoc/bundles/redoc.standalone.js.LICENSE.txt" "$redoc"
cp "$modules/swagger-ui-dist/favicon-32x32.png" "$redoc"

# ReDoc loads its maker's logo from an outside server. An empty picture takes
# its place; the link to its maker stays.
empty=data:image/gif\;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=
sed -e "s|https://cdn.redoc.ly/redoc/logo-mini.svg|$empty|" \
    -e '/^\/\/# sourceMappingURL=/d' \
    "$modules/redoc/bundles/redoc.standalone.js" > "$redoc/redoc.standalone.js"

if ! grep -q "$empty" "$redoc/redoc.standalone.js" \
    || grep -q 'cdn\.redoc' "$redoc/redoc.standalone.js"
then
    echo "assemble.sh: this ReDoc loads something else from outside" >&2
    exit 1
fi

find "$out.new" -type f -exec chmod 644 {} +
rm -rf "$out"
mv "$out.new" "$out"

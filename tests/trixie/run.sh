#!/bin/sh
# Runs script/test's parts on Debian 13 (trixie), in a folder that debootstrap
# makes once, with Redis, and those that stress the server once more with
# Valkey. Needs root. `make test-trixie` calls it.
#
#   tests/trixie/run.sh [part ...]       these parts, not all
#
# TRIXIE (build/trixie)  the folder; remove it for newer packages
# SERVERS                "redis valkey", or one of them
# TRIXIE_MIRROR, TRIXIE_SECURITY
#                        where packages come from; unset: where this machine's
#                        come from
# WRAP                   words put before each command that works in the folder,
#                        e.g. nice
#
# Every command in the folder runs in mount and process namespaces of its own
# (enter.sh): nothing is mounted here that could be left behind.
set -eu
cd "$(dirname "$0")/../.."

parts="build lint unit scripts server e2e memory fault specs fuzz"
valkey_parts="scripts e2e fault"
versions="nginx libhiredis-dev libjwt-dev libcjson-dev libuv1-dev
    libtomlplusplus-dev libcurl4-openssl-dev redis-server valkey-server
    gcc clang python3 perl valgrind nodejs"

die() {
    echo "tests/trixie/run.sh: $*" >&2
    exit 1
}

case "${1-}" in
    -h | --help) sed -n '2,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac

[ "$(id -u)" = 0 ] || die "debootstrap and chroot need root"
for p in debootstrap unshare setpriv chroot git; do
    command -v $p > /dev/null || die "no $p: script/setup --test"
done

asked=${*:-$parts}
servers=${SERVERS:-redis valkey}
trixie=${TRIXIE:-${BUILD:-build}/trixie}
mkdir -p "$trixie"
trixie=$(cd "$trixie" && pwd)
root=$trixie/root
src=$root/src

exec 9> "$trixie/lock"
flock -n 9 || die "another run is in $trixie"

logs=$(mktemp -d) || exit 1
child=

# shellcheck disable=SC2317  # called by a trap
finish() {
    [ -z "$child" ] || kill -KILL "$child" 2> /dev/null || true
    rm -rf "$logs"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Runs "$@" so that it ends with this script, however that ends, and takes
# along what it started and mounted. In the background, for the traps; what a
# shell's background ignores is not to be inherited by tests of signals.
apart() {
    # shellcheck disable=SC2086
    ${WRAP-} env --default-signal=INT,QUIT setpriv --pdeathsig KILL -- \
        unshare --mount --pid --fork --kill-child --propagation private \
        "$@" 9>&- &
    child=$!
    rc=0
    wait $child || rc=$?
    child=
    return $rc
}

# Runs the command after "$1", redis or valkey, in the folder.
inside() {
    apart sh tests/trixie/enter.sh "$root" "$@"
}

# Where this machine's packages with label $1 come from.
mirror() {
    # shellcheck disable=SC2016  # apt's variables, not ours
    apt-get indextargets --format '$(LABEL) $(ORIGIN) $(REPO_URI)' \
        'Identifier: Packages' 2> /dev/null |
        awk -v l="$1" '$1 == l && $2 == "Debian" { print $3; exit }'
}

make_root() {
    main=${TRIXIE_MIRROR:-$(mirror Debian)}
    security=${TRIXIE_SECURITY:-$(mirror Debian-Security)}
    [ -n "$main" ] || die "apt knows no Debian mirror here (apt-get update?);" \
        "TRIXIE_MIRROR=… names one"

    rm -rf "$root.new"
    apart debootstrap --variant=minbase --include=ca-certificates,git \
        trixie "$root.new" "$main" || die "debootstrap failed"

    {
        echo "deb $main trixie main"
        echo "deb $main trixie-updates main"
        [ -z "$security" ] || echo "deb $security trixie-security main"
    } > "$root.new/etc/apt/sources.list"

    # No package starts its daemon.
    printf '#!/bin/sh\nexit 101\n' > "$root.new/usr/sbin/policy-rc.d"
    chmod 755 "$root.new/usr/sbin/policy-rc.d"
    mv "$root.new" "$root"
}

# What the network looks like now, and whom this machine trusts besides
# Debian's authorities.
settle() {
    cp -L /etc/resolv.conf /etc/hosts "$root/etc"
    mkdir -p "$root/usr/local/share/ca-certificates"
    for f in /usr/local/share/ca-certificates/*.crt; do
        [ ! -f "$f" ] || cp "$f" "$root/usr/local/share/ca-certificates"
    done
    inside redis update-ca-certificates > "$logs/ca" 2>&1 ||
        { cat "$logs/ca"; die "update-ca-certificates failed"; }
}

# The tracked files as they are here, in a repository of their own: lint asks
# git for names.
export_tree() {
    rm -rf "$src"
    find "$root/tmp" -mindepth 1 -delete
    mkdir "$src"
    git ls-files -z | tar -c --null -T - | tar -x -C "$src" --no-same-owner
    inside redis sh -c 'cd /src && git -c init.defaultBranch=x init -q &&
        git add -A'
}

install_packages() {
    inside redis sh -c 'cd /src && script/setup --test &&
        { dpkg -s valkey-server valkey-tools > /dev/null 2>&1 ||
          apt-get -q -y -o Acquire::Retries=3 install \
              --no-install-recommends valkey-server; }' ||
        die "installing packages failed"
}

# ---- the parts ----

# Runs one of script/test's parts with $1, redis or valkey; keeps the line on
# it of script/test's summary, and what was skipped in it.
run_part() {
    log=$logs/$1-$2
    echo "==== Debian 13, $1: $2"
    mkfifo "$log.pipe"
    tee "$log" < "$log.pipe" &
    tee=$!
    rc=0
    # shellcheck disable=SC2016  # expanded in there
    inside "$1" sh -c 'cd /src && redis-server --version &&
        exec script/test "$1"' sh "$2" > "$log.pipe" 2>&1 || rc=$?
    wait $tee

    [ -f "$logs/summary-$1" ] ||
        sed -n '1s/ sha=.*/:/p' "$log" > "$logs/summary-$1"

    line=$(sed '1,/^====$/d' "$log" | grep "^$2 " | tail -n 1)
    [ $rc = 0 ] || failed=1
    case "$rc: $line" in
        *": ") failed=1 line="$2 0 passed, 1 failed (status $rc)" ;;
        0:*) ;;
        *" 0 failed, "*) line="$line (status $rc)" ;;
    esac
    echo "  $line" >> "$logs/summary-$1"
    sed '1,/^====$/d' "$log" | sed -n "s/^$2: /  $2, $1: /p" \
        >> "$logs/skipped"
}

# What is installed in the folder.
say_versions() {
    echo "Debian $(cat "$root/etc/debian_version"), Linux $(uname -r):"
    # shellcheck disable=SC2016,SC2086  # dpkg's variable; a list of words
    dpkg-query --root="$root" -W -f '  ${Package} ${Version}\n' $versions
}

# Nothing is left out in silence, nor a part that script/test got since.
say_left_out() {
    for part in $(sh script/test --help | sed -n 's/^parts: //p'); do
        case " $asked " in
            *" $part "*) ;;
            *) echo "not run: $part" ;;
        esac
    done
}

failed=0
[ -d "$root" ] || make_root
settle
export_tree
install_packages
: > "$logs/skipped"

for server in $servers; do
    for part in $asked; do
        case "$server: $valkey_parts " in
            redis:* | *" $part "*) run_part "$server" "$part" ;;
        esac
    done
done

echo "===="
say_versions
cat "$logs"/summary-*
[ -s "$logs/skipped" ] || echo "  nothing" > "$logs/skipped"
echo "skipped:"
cat "$logs/skipped"
say_left_out
cat "$logs"/summary-* | awk '
    { for (i = 2; i <= NF; i++) {
          if ($i ~ /^passed/) p += $(i - 1)
          if ($i ~ /^failed/) f += $(i - 1) } }
    END { print p + 0 " passed, " f + 0 " failed" }'
exit "$failed"

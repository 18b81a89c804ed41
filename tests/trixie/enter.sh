#!/bin/sh
# enter.sh ROOT SERVER COMMAND…: the command in ROOT as if that were the
# machine, with SERVER (redis or valkey) behind the names redis-server and
# redis-cli. Only for tests/trixie/run.sh, which starts it in mount and process
# namespaces of its own, as their first process: all mounts end with them.
set -eu
root=$1 server=$2
shift 2

# A mount point, not only a folder: container runtimes change their root.
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
# Empty at every start: by that container runtimes know one.
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -m 1777 "$root/run/lock"

# Over the file, so that no path leads to the other server.
if [ "$server" = valkey ]; then
    for p in server cli; do
        at=$(chroot "$root" readlink -f "/usr/bin/redis-$p")
        mount --bind "$root/usr/bin/valkey-$p" "$root$at"
    done
fi

# Nothing of this machine's environment but the way out. Podman 5 works with
# cgroups v1 and v2 side by side, and would say at each start that it dislikes
# them.
# shellcheck disable=SC2086
exec chroot "$root" env -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    DEBIAN_FRONTEND=noninteractive PODMAN_IGNORE_CGROUPSV1_WARNING=1 \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    ${http_proxy+http_proxy="$http_proxy"} \
    ${https_proxy+https_proxy="$https_proxy"} \
    ${no_proxy+no_proxy="$no_proxy"} \
    "$@"

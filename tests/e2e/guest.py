"""A Debian kernel booted on this machine's own files, for tests that need
another kernel than the machine's.

    said = guest.run("uname -r; mount -t cgroup2 cgroup2 /sys/fs/cgroup; …")

It needs an x86-64 with Debian's qemu-system-x86, linux-image-amd64 and
busybox-static; no KVM, no root, and no processor of a special kind: QEMU
computes every instruction itself (TCG). The machine's files are there by 9p,
read-only; what is written goes to /dev/shm, or with systemd into memory.
"""

import glob
import lzma
import os
import platform
import re
import shutil
import subprocess
import tempfile
import unittest

BOOT_TIMEOUT_S = 600     # with all processors busy, too
WANTED = ("9p", "9pnet_virtio", "virtio_pci", "overlay")

# The first process, of the initramfs: from here to the machine's files.
INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /host
/bin/busybox mount -t proc proc /proc
for m in %(modules)s; do
    /bin/busybox insmod /modules/$m || echo "insmod $m failed"
done
how=trans=virtio,version=9p2000.L,msize=262144
%(root)s
/bin/busybox mount -t devtmpfs dev /host/dev
/bin/busybox mkdir -p /host/dev/shm /host/dev/pts
/bin/busybox mount -t tmpfs tmpfs /host/dev/shm
/bin/busybox mkdir /host/dev/shm/out
/bin/busybox mount -t 9p -o cache=none,$how out /host/dev/shm/out
/bin/busybox cp /script /host/dev/shm/script
/bin/busybox umount /proc
exec /bin/busybox switch_root /host %(first)s
"""
HOST = "/bin/busybox mount -t 9p -o ro,cache=loose,$how host "
# Here the machine's files may be changed; the changes are in memory.
OVERLAY = """/bin/busybox mkdir -p /lower /upper
%s/lower
/bin/busybox mount -t tmpfs tmpfs /upper
/bin/busybox mkdir /upper/files /upper/work
/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,\
workdir=/upper/work overlay /host
/bin/busybox cp /guest.service /host/etc/systemd/system
# systemd would empty /tmp, where this checkout may be
/bin/busybox mkdir -p /host/etc/tmpfiles.d
/bin/busybox ln -sf /dev/null /host/etc/tmpfiles.d/tmp.conf
""" % HOST
UNIT = """[Service]
Type=oneshot
ExecStart=/bin/sh /dev/shm/script
"""

# Nothing here needs them, and they take half a minute.
SLOW_UNITS = ("systemd-tmpfiles-setup.service", "systemd-udevd.service",
              "systemd-udev-trigger.service", "systemd-journal-flush.service",
              "systemd-hwdb-update.service", "ldconfig.service")

# Of the machine's files: the first process, or a service of systemd's.
SCRIPT = """export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/dev/shm
[ $$ != 1 ] || { mount -t proc proc /proc; mount -t sysfs sysfs /sys; }
ip link set lo up
exec < /dev/null > /dev/shm/out/said 2>&1
(
%s
)
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


def kernels():
    """Versions whose kernel and modules are here, the newest last."""
    def order(version):
        return [int(n) for n in re.findall(r"\d+", version)]
    found = [f.split("/")[3] for f in glob.glob(
        "/lib/modules/*/kernel/fs/9p/9p.ko*")]
    return sorted((v for v in found if os.access("/boot/vmlinuz-" + v,
                                                 os.R_OK)), key=order)


def needs(systemd):
    """Skips the test, and says what is missing."""
    missing = []
    if platform.machine() != "x86_64":
        missing.append("an x86-64 machine")
    if not shutil.which("qemu-system-x86_64"):
        missing.append("qemu-system-x86_64 (package qemu-system-x86)")
    if not kernels():
        missing.append("a kernel in /boot that can be read, with its module "
                       "9p in /lib/modules (package linux-image-amd64)")
    if systemd and not os.access("/lib/systemd/systemd", os.X_OK):
        missing.append("systemd (package systemd)")
    if not shutil.which("busybox"):
        missing.append("busybox (package busybox-static)")
    if missing:
        raise unittest.SkipTest("a guest needs " + ", and ".join(missing)
                                + "; script/setup --test installs these")


def modules(version):
    """Paths below /lib/modules/VERSION, in the order to insert them. Those
    that this kernel has built in are not among them."""
    at, depends = "/lib/modules/%s/" % version, {}
    with open(at + "modules.dep") as f:
        for line in f:
            path, _, rest = line.partition(":")
            name = os.path.basename(path).split(".ko")[0].replace("-", "_")
            depends[name] = [path] + rest.split()
    order = []
    for name in WANTED:
        for path in reversed(depends.get(name, [])):
            if path not in order:
                order.append(path)
    return [at + path for path in order]


def initramfs(d, version, script, systemd):
    """The archive in folder d; returns its path."""
    root = os.path.join(d, "initramfs")
    os.makedirs(os.path.join(root, "bin"))
    os.mkdir(os.path.join(root, "modules"))
    shutil.copy(shutil.which("busybox"), os.path.join(root, "bin/busybox"))
    names = []
    for path in modules(version):
        data = lzma.open(path) if path.endswith(".xz") else open(path, "rb")
        names.append(os.path.basename(path).split(".ko")[0] + ".ko")
        with data, open(os.path.join(root, "modules", names[-1]), "wb") as f:
            shutil.copyfileobj(data, f)
    init = INIT % {
        "modules": " ".join(names),
        "root": OVERLAY if systemd else HOST + "/host",
        "first": "/lib/systemd/systemd --unit=guest.service" if systemd
                 else "/bin/sh /dev/shm/script"}
    for name, text in (("init", init), ("guest.service", UNIT),
                       ("script", SCRIPT % script)):
        with open(os.path.join(root, name), "w") as f:
            f.write(text)
        os.chmod(os.path.join(root, name), 0o755)

    archive = root + ".cpio"
    files = [os.path.relpath(os.path.join(folder, name), root)
             for folder, inner, outer in os.walk(root)
             for name in inner + outer]
    with open(archive, "wb") as f:
        subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root,
                       input="\n".join(sorted(files)).encode() + b"\n",
                       stdout=f, stderr=subprocess.DEVNULL, check=True)
    return archive


def run(script, systemd=False):
    """Boots, runs the shell script as root, powers off; returns what it
    printed. With systemd it is a service beside those that it starts, and may
    change the machine's files, as far as the guest can tell."""
    needs(systemd)
    version = kernels()[-1]
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "out")
        os.mkdir(out)
        share = "local,security_model=none,multidevs=remap,mount_tag=%s,path=%s"
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-smp", "2",
                "-m", "1024", "-nodefaults", "-no-user-config", "-no-reboot",
                "-display", "none", "-serial", "stdio",
                "-kernel", "/boot/vmlinuz-" + version,
                "-initrd", initramfs(d, version, script, systemd),
                "-append", " ".join(
                    ["console=ttyS0 quiet panic=-1 mitigations=off"]
                    + ["systemd.mask=" + unit for unit in SLOW_UNITS]),
                "-virtfs", share % ("host", "/") + ",readonly=on",
                "-virtfs", share % ("out", out)]
        try:
            p = subprocess.run(["setpriv", "--pdeathsig", "KILL", "--",
                                "nice"] + argv,
                               stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT,
                               timeout=BOOT_TIMEOUT_S, start_new_session=True)
            console = p.stdout
        except subprocess.TimeoutExpired as e:
            console = (e.stdout or b"") + b"\nstill running after %d s" \
                % BOOT_TIMEOUT_S
        try:
            with open(os.path.join(out, "said")) as f:
                return f.read()
        except FileNotFoundError:
            raise AssertionError(
                "Linux %s did not boot in QEMU: %s" % (
                    version, console.decode(errors="replace")[-2000:])) \
                from None

#!/usr/bin/env bash
# Boots an isolated machine with systemd as process 1. It ends when standard input is closed.
#
#     boot.sh DEPENDENCIES
#
# It has the files of this machine; its changes are kept in memory and discarded. It has its own processes, network and
# cgroups. The directory DEPENDENCIES is mounted read-only as /opt/dependencies. Prints the process id of its systemd
# when that is up. If this machine cannot boot another one, exits with an error and its reason.
set -euo pipefail

fail() { echo "$1" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "only root can boot a machine"
[ -x /lib/systemd/systemd ] || fail "systemd is not installed"
for kind in overlay cgroup2; do
    grep -qw "$kind" /proc/filesystems || fail "the kernel has no $kind"
done
# The mounts are private and vanish with the last process.
[ "${2:-}" = unshared ] || exec unshare --mount --propagation private -- "$0" "$1" unshared

hold=$(mktemp -d) group=
finish() {
    set +e
    exec 2>/dev/null
    kill -KILL "$machine"  # this ends its process 1, and thereby all others
    wait
    for _ in $(seq 100); do
        find "$group" -depth -type d -exec rmdir {} +
        [ -d "$group" ] || break
        sleep 0.05
    done
    umount --lazy "$hold" && rmdir "$hold"
}
machine=0
trap finish EXIT
trap 'exit 1' TERM INT HUP

mount -t tmpfs -o mode=755 none "$hold"
mkdir "$hold"/{changes,work,root,cgroup}
mount -t cgroup2 none "$hold/cgroup"
group=$hold/cgroup/condord-tests-$$
mkdir "$group"

boot() {
    root=$1/root dependencies=$2
    mount -t overlay none -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$root"
    mount -t proc none "$root/proc"
    mount -t sysfs none "$root/sys"
    mount -t cgroup2 none "$root/sys/fs/cgroup"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=755 none "$root/run"
    mount -t tmpfs -o mode=1777 none "$root/tmp"
    mkdir -p "$root/opt/dependencies" "$root/var/lib/systemd"
    mount --bind -o ro "$dependencies" "$root/opt/dependencies"
    ip link set lo up

    # Mask units that need hardware, and remove those that the host has enabled.
    units=$root/run/systemd/system
    mkdir -p "$units" "$root/run/systemd/journald.conf.d"
    for unit in systemd-{udevd,udev-trigger,modules-load,sysctl,binfmt,random-seed,remount-fs,timesyncd}.service \
        systemd-update-utmp.service systemd-{udevd-control,udevd-kernel,journald-audit}.socket dev-{hugepages,mqueue}.mount sys-kernel-{debug,tracing,config}.mount \
        sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount; do
        ln -s /dev/null "$units/$unit"
    done
    rm -rf "$root"/etc/systemd/system/*.wants "$root"/opt/condord "$root"/etc/condord
    printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' >"$units/machine.target"
    printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n' \
        >"$root/run/systemd/journald.conf.d/machine.conf"
    echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
    : >"$root/etc/fstab"

    cd "$root"
    mkdir run/before
    pivot_root . run/before
    umount --lazy run/before
    mount --make-rshared /  # credentials need it, and systemd leaves it to the container manager
    exec env -i PATH="$PATH" container=condord-tests /lib/systemd/systemd --system --unit=machine.target --show-status=no
}
export -f boot
(
    echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup --propagation private -- \
        bash -euc 'boot "$@"' boot "$hold" "$1" </dev/null >&2
) &
machine=$!

for _ in $(seq 200); do
    kill -0 "$machine" 2>/dev/null || fail "process 1 has ended"
    first=$(head -n 1 "$group/init.scope/cgroup.procs" 2>/dev/null || true)
    state=$([ -z "$first" ] || nsenter --target "$first" --all systemctl is-system-running 2>/dev/null || true)
    if [ "$state" = running ] || [ "$state" = degraded ]; then
        echo "$first"
        read -r _ || true
        exit
    fi
    sleep 0.05
done
fail "systemd did not come up"

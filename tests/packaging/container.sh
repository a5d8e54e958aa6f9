#!/usr/bin/env bash
# Runs a command in a container whose image is this machine: as process 1, on a read-only root, as a user that is not in
# passwd, without capabilities and without environment variables. The network is the host's, as with `--network host`.
#
#     container.sh PACKAGES SOURCE USER COMMAND...
#
# The directories PACKAGES and SOURCE are mounted as /opt/packages and /opt/source. If this machine cannot run containers,
# it exits with 125 and an explanation. It ends when unshare does.
set -euo pipefail

fail() { echo "$1" >&2; exit 125; }

[ "$(id -u)" = 0 ] || fail "only root can make a container"
command -v unshare setpriv >/dev/null || fail "unshare and setpriv are not installed"
grep -qw overlay /proc/filesystems || fail "the kernel has no overlay"

boot() {
    hold=$1 packages=$2 source=$3 user=$4
    shift 4
    mount -t tmpfs -o mode=755 none "$hold"
    mkdir "$hold"/{changes,work,root}
    root=$hold/root
    mount -t overlay none -o "lowerdir=/,upperdir=$hold/changes,workdir=$hold/work" "$root"
    mkdir -p "$root/opt/packages" "$root/opt/source"
    mount --bind -o ro "$packages" "$root/opt/packages"
    mount --bind -o ro "$source" "$root/opt/source"
    mount -t proc none "$root/proc"
    mount -t tmpfs -o mode=755 none "$root/dev"
    for device in null zero urandom; do
        : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -o remount,ro "$root/dev"
    mount -o remount,ro "$root"
    cd "$root"
    exec env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin chroot . setpriv --reuid "$user" --regid "$user" --clear-groups \
        --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
}
export -f boot
hold=$(mktemp -d)
trap 'rmdir "$hold"' EXIT
status=0
unshare --mount --pid --fork --kill-child --uts --ipc --propagation private -- \
    bash -euc 'boot "$@"' boot "$hold" "$@" <&0 || status=$?
exit "$status"

#!/usr/bin/env bash
# Makes this checkout ready to run: Debian packages, .venv with the locked requirements, weft itself in it.
# Idempotent: what is there already is left alone, and a second run only looks.
#
#   packaging/bootstrap.sh           what weft needs to run
#   packaging/bootstrap.sh --tests   and what its tests need
#
# PYTHON names the interpreter for .venv (3.11 or newer); the default is Debian's.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
say() { echo "${bold}[env]${plain} $*"; }
fail() { printf '[env] %s\n' "$*" >&2; exit 1; }

# Packages of the lists that are not installed and whose command, where one is named, is missing.
missing_packages() {
    local package command
    sed 's/#.*//' "$@" | while read -r package command; do
        [ -n "$package" ] || continue
        if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

install_packages() {
    local missing as_root=()
    command -v apt-get >/dev/null || { say "no apt-get here: packages of $* must be there already"; return; }
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || { say "Debian packages: all there"; return; }
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    # PostgreSQL's package would make and start a cluster of its own; the tests make theirs.
    if [ ! -e /etc/postgresql-common/createcluster.d/weft.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" |
            "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/weft.conf >/dev/null
    fi
    say "Debian packages: installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 \
        -o Dpkg::Options::=--force-confold install --no-install-recommends "${missing[@]}"
}

# libvirt's QEMU driver refuses to start without these, even where guests run as root.
make_accounts() {
    [ "$(id -u)" = 0 ] || return 0
    getent group kvm >/dev/null || { say "making the group kvm"; groupadd --system kvm; }
    getent group libvirt-qemu >/dev/null || { say "making the group libvirt-qemu"; groupadd --system libvirt-qemu; }
    getent passwd libvirt-qemu >/dev/null || {
        say "making the user libvirt-qemu"
        useradd --system --no-create-home --shell /usr/sbin/nologin --gid libvirt-qemu --groups kvm libvirt-qemu
    }
}

make_environment() {
    local python=${PYTHON:-/usr/bin/python3} stamp
    stamp=$(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)
    if [ "$(cat .venv/weft-stamp 2>/dev/null)" = "$stamp" ]; then say "Python environment: .venv is up to date"; return; fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is older than Python 3.11: name a newer one, as in PYTHON=python3.12 make env"
    say "Python environment: .venv by $("$python" --version), $(grep -c '^[a-z].*==' requirements.lock) locked packages"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements.lock |
        sed -u -e '/^Requirement already satisfied/d' -e '/^Ignoring/d' -e '/^Looking in/d'
    # hatchling comes from the lock, so no second, unlocked copy is fetched to build an editable install
    .venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
    echo "$stamp" >.venv/weft-stamp
}

mkdir -p .cache
exec 9>.cache/bootstrap.lock
flock --nonblock 9 || { say "another bootstrap runs in this checkout: waiting for it"; flock 9; }
lists=(packaging/debian-packages.txt)
[ "${1:-}" != --tests ] || lists+=(packaging/debian-packages-test.txt)
install_packages "${lists[@]}"
make_accounts
make_environment
say "ready: .venv/bin/weft"

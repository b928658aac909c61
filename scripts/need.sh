# SPDX-License-Identifier: BSD-2-Clause
# Sourced by the scripts: installs the Debian packages of programs that are missing, and only those.

# as_root COMMAND...: runs it as root, by sudo where we are not.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "$0: root is needed for: $*" >&2
        return 1
    fi
}

install_packages() {
    echo "installing: $*" >&2
    # A machine that was never updated has no package lists, so the first attempt may fail.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    as_root apt-get update -qq >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# need PROGRAM PACKAGE...: one program, and the packages that bring it.
need() {
    _program=$1
    shift
    command -v "$_program" >/dev/null 2>&1 || install_packages "$@"
}

need_compiler() {
    _missing=
    command -v make >/dev/null 2>&1 || _missing=make
    # A compiler without the C library's headers builds nothing: try it.
    if ! echo '#include <stdio.h>' | "${CC:-cc}" -E -x c - >/dev/null 2>&1; then
        _missing="$_missing gcc libc6-dev"
    fi
    # shellcheck disable=SC2086
    [ -z "$_missing" ] || install_packages $_missing
}

# need_redis: redis-server as the reference of the tests. Its package starts and enables a service; where we are the
# ones who install it, that service is stopped and disabled again. One that was there before is left as it is.
need_redis() {
    need redis-cli redis-tools
    command -v redis-server >/dev/null 2>&1 && return
    _policy=/usr/sbin/policy-rc.d
    _ours=
    if [ ! -e "$_policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$_policy" >/dev/null
        as_root chmod 755 "$_policy"
        _ours=yes
    fi
    _status=0
    install_packages redis-server || _status=$?
    [ -z "$_ours" ] || as_root rm -f "$_policy"
    as_root service redis-server stop >/dev/null 2>&1 || true
    as_root update-rc.d redis-server disable >/dev/null 2>&1 || true
    return "$_status"
}

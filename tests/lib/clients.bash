# SPDX-License-Identifier: BSD-2-Clause
# Loaded by the bats files of client libraries, after server.bash: fetching a library, or skipping where that cannot be done.

# well COMMAND... PORT CASE: the program of tests/clients must end with "well", against an empty server.
well() {
    empty_server
    run timeout 60 "$@"
    [[ $status == 0 && ${lines[-1]} == well ]] || fail "$*" "$output"
}

# debian_package PACKAGE COMMAND...: installs the package if the command fails. Sets MISSING when it still does.
debian_package() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 && return
    timeout 200 bash -c '. "$0/scripts/need.sh" && install_packages "$1"' "$ROOT" "$package" >/dev/null 2>&1 3>&- || true
    "$@" >/dev/null 2>&1 || export MISSING="Debian's $package cannot be had (no network?)"
}

# node_package NAME: installs the newest version that the machine's node can run below BATS_FILE_TMPDIR, and sets NODE_PATH. Sets MISSING
# when that fails.
node_package() {
    debian_package npm npm --version
    export NODE_PATH=$BATS_FILE_TMPDIR/node_modules
    local version=6
    (($(node -p 'parseInt(process.versions.node)' 2>/dev/null) >= 20)) || version=5
    (cd "$BATS_FILE_TMPDIR" && timeout 60 npm install --silent --no-audit --no-fund --fetch-retries=1 "$1@$version") >/dev/null 2>&1 3>&- ||
        export MISSING="npm cannot fetch $1 (no network?)"
}

there() { [[ -z ${MISSING:-} ]] || skip "$MISSING"; }

#!/usr/bin/env bash
# Installs the Debian packages of a list, if any is missing. Usage: docker/setup.sh docker/packages.txt
set -euo pipefail

wanted() { grep -v '^#' "$1" | xargs; }

missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

# Servers such as nginx are for the demo and the tests, which start them: none must become a service.
no_services() {
    local policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

install() {
    no_services
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq --no-install-recommends "$@" >/dev/null
}

packages=$(missing $(wanted "$1"))
[ -n "$packages" ] || exit 0
echo "Debian packages to install:" $packages
if [ "$(id -u)" != 0 ]; then
    echo "That needs root: run 'sudo make build' once." >&2
    exit 1
fi
install $packages

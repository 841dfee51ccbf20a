#!/bin/sh
# What the tests use from Debian, installed when it is missing: a browser with Chinese letters, and
# programs that we did not write: to hold our Modbus against (libmodbus is built into a small referee by gcc), and a
# time-series server.
set -eu

packages="chromium fonts-noto-cjk mbpoll socat libmodbus-dev gcc victoria-metrics"
programs="chromium mbpoll socat gcc victoria-metrics"

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    missing=""
    for it in $programs; do command -v "$it" >/dev/null || missing="$missing $it"; done
    [ -z "$missing" ] && exit 0
    echo "The tests need these programs, and this is not a Debian that could be asked for them:$missing" >&2
    exit 1
fi

missing=""
for it in $packages; do
    [ "$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$it" 2>/dev/null)" = "ii " ] || missing="$missing $it"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null; then
    as_root="sudo"
else
    echo "The tests need Debian packages. As root, run: apt-get install$missing" >&2
    exit 1
fi

echo "Installing for the tests:$missing"
$as_root apt-get update -q
# shellcheck disable=SC2086  # words on purpose: each is a package or the way to become root
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing

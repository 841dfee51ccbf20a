#!/bin/sh
# Can this Python carry a hub? Says in one sentence what to install when it cannot.
python=$1
if [ -z "$python" ]; then
    echo "FieldHub needs Python 3.11 or newer and found none. On Debian: apt-get install python3 python3-venv" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "FieldHub needs Python 3.11 or newer, and $python is $("$python" -V 2>&1). Name another one:" \
        "make PYTHON=python3.12 demo" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make a virtual environment. On Debian: apt-get install python3-venv" >&2
    exit 1
fi

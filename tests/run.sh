#!/usr/bin/env bash
# Install what the tests need, a headless Chromium and PostgreSQL too, and run them all. Arguments go to pytest.
# Nothing is skipped silently: pytest lists every skipped test with its reason.
set -euo pipefail
cd "$(dirname "$0")/.."

python -m pip install --quiet --requirement requirements-dev.txt
# Apart from the rest, because it declares pandas<3 (see requirements-statistical.txt).
python -m pip install --quiet --no-deps statsforecast==2.1.1

as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
if ! compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; then
    $as_root apt-get update -qq
    # Only its programs: the tests start servers of their own.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
fi
if ! command -v chromium >/dev/null; then
    $as_root apt-get update -qq
    if apt-cache show chromium 2>/dev/null | grep -q '^Filename:.*chromium_[0-9]*\.[0-9]*\.[0-9]*'; then
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
    else
        python -m playwright install --with-deps chromium # Ubuntu has Chromium only as a snap
    fi
fi

# Two at once with a thread each: much of a test is waiting, for a browser, a server or another process. Three were faster
# on two cores, but then browser tests ran out of time. A module stays in one process, because its tests share servers.
OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" python -m pytest --numprocesses 2 --dist loadfile "$@"

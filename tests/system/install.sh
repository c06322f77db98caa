#!/usr/bin/env bash
# Installs what the system tests need beside the project: tests/system/install.sh PYTHON FOLDER
#   PYTHON  the project's interpreter, which has uv
#   FOLDER  holds an environment for the S3 server, and one for the clients of the API
# Leaves alone what is there already.
set -euo pipefail
python=$1 folder=$2 here=$(dirname "$0")

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v chromium >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
    [ "$(id -u)" = 0 ] || as_root=(sudo -n "${as_root[@]}")
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        echo "found no ${missing[*]}; expected Debian, and root or sudo; to fix: install ${missing[*]}, then run make system" >&2
        exit 1
    fi
    echo "packages of Debian: ${missing[*]}"
    "${as_root[@]}" apt-get -qq update
    "${as_root[@]}" apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
fi

for name in s3 clients; do
    echo "environment $folder/$name"
    [ -x "$folder/$name/bin/python" ] || "$python" -m uv venv --quiet --python "$python" "$folder/$name"
    "$python" -m uv pip sync --quiet --python "$folder/$name/bin/python" "$here/$name.txt"
done

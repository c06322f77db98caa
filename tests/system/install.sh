#!/usr/bin/env bash
# Installs what the system tests need beside the project: tests/system/install.sh PYTHON FOLDER
#   PYTHON  the project's interpreter, which has uv
#   FOLDER  holds an environment for each server that is a Python program
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

echo "S3 server: $folder/s3"
[ -x "$folder/s3/bin/python" ] || "$python" -m uv venv --quiet --python "$python" "$folder/s3"
"$python" -m uv pip sync --quiet --python "$folder/s3/bin/python" "$here/s3.txt"

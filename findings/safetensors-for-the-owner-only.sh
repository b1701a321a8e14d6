#!/usr/bin/env bash
# safetensors 0.8.0 saves files that only their owner can read, whatever the umask and whatever the file was before.
#
# Version: safetensors 0.8.0, the package for Python; the crate of the same version has the same code
# (`serialize_to_file`). 0.7.0 followed the umask.
#
# A file is written beside its place and then renamed, which is right; but the file beside it is one for secrets, with
# mode 0600, and nobody gives it another. Seen with umask 022:
#
#   - a new file has mode 0600, where every other way of writing gives 0644;
#   - a file that others could read (0644) cannot be read by them after it was saved again;
#   - a link to a file is replaced by a file, and what it led to stays as it was.
#
# So a model that one user saves and another serves is "Permission denied" after an update of the library.
#
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
umask 022

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-50s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}
# make_venv NAME PACKAGE...
make_venv() {
    python3 -m venv "$directory/$1"
    "$directory/$1/bin/pip" install -q --disable-pip-version-check "${@:2}"
}
save() {
    "$directory/$1/bin/python" -c '
import sys, numpy
from safetensors.numpy import save_file
save_file({"x": numpy.zeros(3, dtype=numpy.float32)}, sys.argv[1])' "$directory/$2"
}
mode() { stat -c %a "$directory/$1"; }

make_venv 0.7.0 safetensors==0.7.0 numpy==2.4.6
make_venv 0.8.0 safetensors==0.8.0 numpy==2.4.6

save 0.7.0 old
expect '0.7.0: a new file' 644 "$(mode old)"
save 0.8.0 new
expect '0.8.0: a new file' 600 "$(mode new)"
chmod 644 "$directory/new"
save 0.8.0 new
expect '0.8.0: a file that others could read, saved again' 600 "$(mode new)"
touch "$directory/target"
ln -s target "$directory/link"
save 0.8.0 link
[[ -L $directory/link ]] && kind=link || kind=file
expect '0.8.0: a link, saved to' file "$kind"
expect '0.8.0: bytes of what it led to' 0 "$(stat -c %s "$directory/target")"
exit "$failed"

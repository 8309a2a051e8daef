#!/bin/sh -e
# Make an environment's folder ready to be a layer: `settle.sh FOLDER [DATE]`.
# Everything gets one time, since a compiled module holds the time of its source: so the
# same packages are the same layer wherever and whenever it is built, and nobody fetches it twice.
# What is served to browsers needs the date of its lock: they ask whether it is newer than what they have.
date=${2:-2000-01-01}
one_time() { find "$1" -exec touch --no-dereference --date="${date}T00:00Z" {} +; }

# The tests of the libraries are nobody's here.
find "$1/lib" -type d -name tests -prune -exec rm -r {} +
find "$1/lib" -name '*.pyc' -delete
rm -f "$1/.lock" # uv's
one_time "$1/lib"
# One order of hashes, and in each process the same modules in the same order: what a process has
# compiled before changes how a few modules come out.
find "$1/lib" -name '*.py' | LC_ALL=C sort | \
    PYTHONHASHSEED=0 xargs --max-procs "$(nproc)" --max-args 500 python3 -m compileall -q -s "$1" -p /opt/stateroom
chmod -R g+w "$1"
one_time "$1"

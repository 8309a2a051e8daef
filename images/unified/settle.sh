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
one_time "$1"
# One process and one order of hashes: else a few modules come out in one of two ways.
PYTHONHASHSEED=0 python3 -m compileall -q -s "$1" -p /opt/stateroom "$1/lib"
chmod -R g+w "$1"
one_time "$1"

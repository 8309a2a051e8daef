#!/bin/sh -e
# Install Debian packages and nothing they only recommend, fast: `install.sh PACKAGE...`.
export DEBIAN_FRONTEND=noninteractive
# A build that breaks off leaves nothing, so dpkg need not wait until each file is on the disk.
unsafe=/etc/dpkg/dpkg.cfg.d/stateroom-build
echo force-unsafe-io >$unsafe
apt-get update
# apt has one connection to a mirror, over which hundreds of small packages come one after another.
# What is not fetched here, the installation itself fetches.
needed=$(apt-get install --yes --no-install-recommends --print-uris -qq "$@" | cut -d ' ' -f 2 | cut -d _ -f 1)
(
    cd /var/cache/apt/archives
    echo "$needed" | xargs --max-procs 4 --max-args $(($(echo "$needed" | wc -l) / 4 + 1)) \
        apt-get download -qq --option APT::Sandbox::User=root
) || true
apt-get install --yes --no-install-recommends "$@"
rm -rf $unsafe /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*

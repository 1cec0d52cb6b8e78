#!/bin/sh
# Like the official one: options alone mean influxd, and root becomes the user influxdb, who owns the data.
set -e
case ${1-} in -*) set -- influxd "$@" ;; esac
[ "$(id -u)" -ne 0 ] && exec "$@"
chown influxdb:influxdb /var/lib/influxdb2 /etc/influxdb2
export HOME=/home/influxdb
exec setpriv --reuid influxdb --regid influxdb --init-groups "$@"

#!/bin/sh
# Like the official one: options alone mean telegraf, and root becomes the user telegraf.
set -e
case ${1-} in -*) set -- telegraf "$@" ;; esac
[ "$(id -u)" -ne 0 ] && exec "$@"
export HOME=/etc/telegraf
exec setpriv --reuid telegraf --regid telegraf --init-groups "$@"

#!/bin/sh
# Like the official one: root hands the folders to the user mosquitto.
set -e
[ "$(id -u)" -ne 0 ] || chown -R mosquitto:mosquitto /mosquitto
exec "$@"

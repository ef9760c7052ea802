#!/usr/bin/env bash
# QGIS, whose Debian package brings 169 others with it: its own provider of OGC API Features, without a screen.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! /usr/bin/python3 -c 'import qgis.core' 2>/dev/null; then
  root=
  [ "$(id -u)" = 0 ] || root=sudo
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-qgis </dev/null
fi
QT_QPA_PLATFORM=offscreen /usr/bin/python3 "$here/layers.py" "$1"

#!/bin/sh
# Two hosts on one machine: network namespaces, which a veth pair joins.
#
# unshare [-r] -m -n -u -p --mount-proc --kill-child two-hosts.sh up COMMAND ...
#                                     makes the network of this namespace that of host 10.77.0.1, starts 10.77.0.2 beside it,
#                                     and runs the command on the first.
# two-hosts.sh 10.77.0.2 WORD ...     runs a command on a host: what MPI's launchers call in place of ssh.
#
# They have process ids of their own, and this script has the first one: when it ends, all that they run ends.
case $1 in
up)
  shift
  set -e
  hostname host1
  # UCX, which carries MPICH, lists the network's devices there.
  mount -t sysfs sysfs /sys
  # It has all of its output closed: who reads that of this script would wait for it.
  unshare -m -n -u sh -c 'mount -t sysfs sysfs /sys && exec sleep 120' </dev/null >/dev/null 2>&1 &
  TWO_HOSTS_OTHER=$!
  export TWO_HOSTS_OTHER
  trap 'kill $TWO_HOSTS_OTHER' EXIT
  # The process has its namespaces as soon as it is another program.
  tries=0
  until [ "$(cat /proc/$TWO_HOSTS_OTHER/comm)" = sleep ]; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || exit 1
    sleep 0.01
  done
  on_other="nsenter -t $TWO_HOSTS_OTHER -m -n -u"
  ip link add hosts type veth peer name hosts netns $TWO_HOSTS_OTHER
  ip addr add 10.77.0.1/24 dev hosts
  ip link set lo up
  ip link set hosts up
  $on_other hostname host2
  $on_other ip addr add 10.77.0.2/24 dev hosts
  $on_other ip link set lo up
  $on_other ip link set hosts up
  # UCX passes over a device whose link is not up yet.
  tries=0
  until [ "$(cat /sys/class/net/hosts/operstate)" = up ] && [ "$($on_other cat /sys/class/net/hosts/operstate)" = up ]; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || exit 1
    sleep 0.01
  done
  set +e
  "$@"
  exit $?
  ;;
10.77.0.1)
  shift
  exec sh -c "$*"
  ;;
10.77.0.2)
  shift
  exec nsenter -t "$TWO_HOSTS_OTHER" -m -n -u --wd="$PWD" sh -c "$*"
  ;;
esac

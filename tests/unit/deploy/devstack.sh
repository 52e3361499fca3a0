#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs phases of the plugin with stand-ins for DevStack's functions: those that
# write files do, the others write down that they were called.
#
#     devstack.sh ROOT SERVICES PHASE...
set -o errexit -o pipefail
# shellcheck disable=SC2034
root=$1 services=$2
shift 2
plugin=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../devstack" && pwd)

# shellcheck disable=SC2034
{
DEST=$root/dest DATA_DIR=$root/data STACK_USER=$(id -un) LIBVIRT_GROUP=libvirt
DATABASE_TYPE=mysql REGION_NAME=RegionOne SERVICE_PROTOCOL=http
SERVICE_HOST=127.0.0.1 SERVICE_TIMEOUT=60 SSL_BUNDLE_FILE=$root/ca.pem
ENABLE_DEBUG_LOG_LEVEL=True HORIZON_DIR=$root/horizon
ENERGY_ACCOUNTING_DIR=$(dirname "$plugin")
ENERGY_ACCOUNTING_CONF_DIR=$root/etc
ENERGY_ACCOUNTING_SYSTEMD_DIR=$root/systemd
ENERGY_ACCOUNTING_SYSFS=$root/sys
}
mkdir -p "$root"/horizon/openstack_dashboard/local/{enabled,local_settings.d} \
    "$root"/bin
printf '#!/bin/sh\necho manage "$@" >> %s/calls\n' "$root" \
    > "$root/bin/energy-accounting-manage"
chmod +x "$root/bin/energy-accounting-manage"

called() { echo "$*" >> "$root/calls"; }
for name in install_package setup_develop pip_install create_service_user \
    get_or_create_service get_or_create_endpoint rpc_backend_add_vhost \
    recreate_database stop_process wait_for_service setup_logging; do
    eval "$name() { called $name \"\$@\"; }"
done
run_process() { ! is_service_enabled "$1" || called run_process "$@"; }
define_plugin() { :; }
echo_summary() { echo "$@"; }
enable_service() {
    local one
    for one in "$@"; do
        # As disable_service of local.conf leaves it.
        [[ " $services " == *" -$one "* ]] || services+=" $one"
    done
}
is_service_enabled() {
    local one
    for one in "$@"; do
        [[ " $services " == *" $one "* ]] && return 0
    done
    return 1
}
is_ubuntu() { true; }
sudo() { "$@"; }
get_python_exec_prefix() { echo "$root/bin"; }
apache_site_config_for() { echo "$root/apache-$1.conf"; }
database_connection_url() { echo "mysql+pymysql://root:secret@127.0.0.1/$1?charset=utf8"; }
iniset() { printf '%s\n' "[$2]" "$3 = $4" >> "$1"; }
inidelete() { called inidelete "$@"; }
configure_keystoneauth() {
    iniset "$1" "$3" username "$2"
    iniset "$1" "$3" password service-secret
}
configure_keystone_authtoken_middleware() {
    iniset "$1" "$3" username "$2"
    iniset "$1" "$3" password service-secret
    iniset "$1" "$3" service_type "$4"
}
iniset_rpc_backend() { iniset "$2" "$3" transport_url "rabbit://x/$4"; }
write_uwsgi_config() {
    called write_uwsgi_config "$@"
    rm -f "$1"
    iniset "$1" uwsgi module "$2"
    echo "ProxyPass $3" >> "$(apache_site_config_for "$5")"
}
remove_uwsgi_config() { rm -f "$1"; }

# shellcheck disable=SC1091
source "$plugin/settings"
for phase in "$@"; do
    called "phase $phase"
    case $phase in
        unstack|clean) set -- "$phase" ;;
        *) set -- stack "$phase" ;;
    esac
    # shellcheck disable=SC1091
    source "$plugin/plugin.sh"
done

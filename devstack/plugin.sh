#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# DevStack plugin of energy accounting: the API at /energy under Apache and
# uWSGI, a collector, a notifier with one capability, the CLI plugin and the
# Horizon panel.  Every phase may be run again.  README.rst says how to use it.
#
# shellcheck disable=SC2154

ENERGY_ACCOUNTING_CONF=$ENERGY_ACCOUNTING_CONF_DIR/energy-accounting.conf
ENERGY_ACCOUNTING_API_CONF=$ENERGY_ACCOUNTING_CONF_DIR/api.conf
ENERGY_ACCOUNTING_NOTIFIER_CONF=$ENERGY_ACCOUNTING_CONF_DIR/notifier.conf
ENERGY_ACCOUNTING_UWSGI_CONF=$ENERGY_ACCOUNTING_CONF_DIR/uwsgi.ini
ENERGY_ACCOUNTING_UWSGI=energy_accounting.wsgi.api:application
ENERGY_ACCOUNTING_VHOST=energy
ENERGY_ACCOUNTING_SYSTEMD_DIR=${ENERGY_ACCOUNTING_SYSTEMD_DIR:-/etc/systemd/system}
ENERGY_ACCOUNTING_DROPIN=$ENERGY_ACCOUNTING_SYSTEMD_DIR/devstack@energy-notifier.service.d

# --- phases -----------------------------------------------------------------

function install_energy_accounting {
    local extras=notifier,collector,api
    # libvirt's binding is compiled.
    if is_service_enabled energy-notifier; then
        extras+=,libvirt
        if is_ubuntu; then
            install_package libvirt-dev pkg-config
        else
            install_package libvirt-devel pkgconf-pkg-config
        fi
    fi
    case $DATABASE_TYPE in
        mysql) extras+=,mysql ;;
        postgresql) extras+=,postgresql ;;
    esac
    setup_develop "$ENERGY_ACCOUNTING_DIR" "$extras"
    # The openstack command finds the plugin by its entry points.
    pip_install python-openstackclient
}

function configure_energy_accounting {
    sudo install -d -o "$STACK_USER" -m 0750 "$ENERGY_ACCOUNTING_CONF_DIR" \
        "$ENERGY_ACCOUNTING_STATE_PATH"
    rm -f "$ENERGY_ACCOUNTING_CONF" "$ENERGY_ACCOUNTING_API_CONF" \
        "$ENERGY_ACCOUNTING_NOTIFIER_CONF"
    if is_service_enabled energy-collector; then
        energy_accounting_common "$ENERGY_ACCOUNTING_CONF"
        energy_accounting_bus "$ENERGY_ACCOUNTING_CONF"
        energy_accounting_database "$ENERGY_ACCOUNTING_CONF"
        local section
        for section in service_auth nova; do
            configure_keystoneauth "$ENERGY_ACCOUNTING_CONF" \
                energy-accounting-collector "$section"
            iniset "$ENERGY_ACCOUNTING_CONF" "$section" cafile \
                "$SSL_BUNDLE_FILE"
            iniset "$ENERGY_ACCOUNTING_CONF" "$section" region_name \
                "$REGION_NAME"
            # Known to the options of a session only where it is one.
            inidelete "$ENERGY_ACCOUNTING_CONF" "$section" interface
        done
        inidelete "$ENERGY_ACCOUNTING_CONF" service_auth region_name
    fi
    if is_service_enabled energy-api; then
        energy_accounting_common "$ENERGY_ACCOUNTING_API_CONF"
        energy_accounting_database "$ENERGY_ACCOUNTING_API_CONF"
        configure_keystone_authtoken_middleware \
            "$ENERGY_ACCOUNTING_API_CONF" energy-accounting \
            keystone_authtoken energy-accounting
        iniset "$ENERGY_ACCOUNTING_API_CONF" oslo_middleware \
            enable_proxy_headers_parsing true
        # Each request is told in the log: the API has no message bus.
        iniset "$ENERGY_ACCOUNTING_API_CONF" audit enabled true
        iniset "$ENERGY_ACCOUNTING_API_CONF" audit_middleware_notifications \
            use_oslo_messaging false
        # DevStack adds to the file that is there.
        sudo rm -f "$(apache_site_config_for energy-api)"
        write_uwsgi_config "$ENERGY_ACCOUNTING_UWSGI_CONF" \
            "$ENERGY_ACCOUNTING_UWSGI" /energy "" energy-api
        iniset "$ENERGY_ACCOUNTING_UWSGI_CONF" uwsgi env \
            "OS_ENERGY_ACCOUNTING_CONFIG_FILE=$ENERGY_ACCOUNTING_API_CONF"
    fi
    if is_service_enabled energy-notifier; then
        configure_energy_accounting_notifier
    fi
}

# No credential of the cloud and no database is in this file.
function configure_energy_accounting_notifier {
    local conf=$ENERGY_ACCOUNTING_NOTIFIER_CONF meter
    energy_accounting_common "$conf"
    energy_accounting_bus "$conf"
    meter=$(energy_accounting_meter) || return 1
    if [[ $meter == simulated ]]; then
        echo "energy-accounting: this machine has no RAPL counters;" \
            "the notifier reads SIMULATED ones, made up of CPU time"
        iniset "$conf" notifier sysfs_path \
            "$ENERGY_ACCOUNTING_STATE_PATH/simulated"
    elif [[ $ENERGY_ACCOUNTING_SYSFS != /sys ]]; then
        iniset "$conf" notifier sysfs_path "$ENERGY_ACCOUNTING_SYSFS"
    fi
    # The user stays $STACK_USER; it gets the one right that is needed.
    sudo install -d -m 0755 "$ENERGY_ACCOUNTING_DROPIN"
    sudo tee "$ENERGY_ACCOUNTING_DROPIN/energy-accounting.conf" \
        > /dev/null <<EOF
[Service]
AmbientCapabilities=CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
ProtectSystem=full
EOF
}

function init_energy_accounting {
    if is_service_enabled rabbit; then
        rpc_backend_add_vhost "$ENERGY_ACCOUNTING_VHOST"
    fi
    if is_service_enabled energy-collector || is_service_enabled energy-api
    then
        recreate_database "$ENERGY_ACCOUNTING_DB"
        "$(energy_accounting_bin)/energy-accounting-manage" \
            --config-file "$(energy_accounting_database_conf)" db sync
    fi
}

function create_energy_accounting_accounts {
    is_service_enabled key || is_service_enabled keystone || return 0
    # The API validates tokens.
    create_service_user energy-accounting
    # admin: to list the names of projects, and Nova's servers of all.
    create_service_user energy-accounting-collector admin
    if is_service_enabled energy-api; then
        get_or_create_service energy-accounting energy-accounting \
            "Energy and CO2 accounting"
        get_or_create_endpoint energy-accounting "$REGION_NAME" \
            "$SERVICE_PROTOCOL://$SERVICE_HOST/energy"
    fi
}

# The panels, and the policies that they read.
function install_energy_accounting_panel {
    if ! is_service_enabled horizon; then
        return 0
    fi
    local file
    for file in $(energy_accounting_panel_files); do
        cp "$ENERGY_ACCOUNTING_DIR/energy_accounting/dashboard/$file" \
            "$HORIZON_DIR/openstack_dashboard/local/$file"
    done
}

function start_energy_accounting {
    local bin
    bin=$(energy_accounting_bin)
    if is_service_enabled energy-notifier && [[ $(energy_accounting_meter) == simulated ]]
    then
        enable_service energy-powercap
        run_process energy-powercap \
            "$(energy_accounting_python) $ENERGY_ACCOUNTING_DIR/devstack/simulated-powercap $ENERGY_ACCOUNTING_STATE_PATH/simulated"
    fi
    if is_service_enabled energy-api; then
        run_process energy-api \
            "$(energy_accounting_uwsgi) --procname-prefix energy-api --ini $ENERGY_ACCOUNTING_UWSGI_CONF"
    fi
    run_process energy-collector \
        "$bin/energy-accounting-collector --config-file $ENERGY_ACCOUNTING_CONF"
    run_process energy-notifier \
        "$bin/energy-accounting-notifier --config-file $ENERGY_ACCOUNTING_NOTIFIER_CONF" \
        "$LIBVIRT_GROUP"
}

function test_energy_accounting {
    is_service_enabled energy-api || return 0
    wait_for_service "$SERVICE_TIMEOUT" \
        "$SERVICE_PROTOCOL://$SERVICE_HOST/energy/healthcheck"
}

function stop_energy_accounting {
    local service
    enable_service energy-powercap
    for service in energy-notifier energy-powercap energy-collector \
        energy-api; do
        stop_process "$service"
    done
}

function cleanup_energy_accounting {
    remove_uwsgi_config "$ENERGY_ACCOUNTING_UWSGI_CONF" energy-api
    sudo rm -f "$(apache_site_config_for energy-api)" \
        /var/run/uwsgi/energy-api.socket \
        "$ENERGY_ACCOUNTING_SYSTEMD_DIR"/devstack@energy-{api,collector,notifier,powercap}.service
    sudo rm -rf "$ENERGY_ACCOUNTING_DROPIN" "$ENERGY_ACCOUNTING_CONF_DIR" \
        "$ENERGY_ACCOUNTING_STATE_PATH"
    if [[ -d ${HORIZON_DIR:-} ]]; then
        local file
        for file in $(energy_accounting_panel_files); do
            rm -f "$HORIZON_DIR/openstack_dashboard/local/$file"
        done
    fi
}

# --- parts ------------------------------------------------------------------

function energy_accounting_bin {
    if [[ ${GLOBAL_VENV:-} == True ]]; then
        echo "$DEVSTACK_VENV/bin"
    else
        get_python_exec_prefix
    fi
}

function energy_accounting_python {
    local python
    python=$(energy_accounting_bin)/python3
    [[ -x $python ]] || python=$(command -v python3)
    echo "$python"
}

function energy_accounting_uwsgi {
    local uwsgi
    uwsgi=$(energy_accounting_bin)/uwsgi
    [[ -x $uwsgi ]] || uwsgi=$(command -v uwsgi)
    echo "$uwsgi"
}

# What Horizon executes, as its own directories of it are called.
function energy_accounting_panel_files {
    (
        cd "$ENERGY_ACCOUNTING_DIR/energy_accounting/dashboard" || exit
        find enabled local_settings.d -name '_[0-9]*.py'
    )
}

# powercap or simulated.
function energy_accounting_meter {
    local counters=("$ENERGY_ACCOUNTING_SYSFS"/class/powercap/*/energy_uj)
    case $ENERGY_ACCOUNTING_METER in
        powercap|simulated) echo "$ENERGY_ACCOUNTING_METER" ;;
        auto)
            if [[ -e ${counters[0]} ]]; then
                echo powercap
            else
                echo simulated
            fi ;;
        *)
            echo "ENERGY_ACCOUNTING_METER is $ENERGY_ACCOUNTING_METER:" \
                "give auto, powercap or simulated" >&2
            return 1 ;;
    esac
}

function energy_accounting_common {
    local conf=$1
    install -m 0640 /dev/null "$conf"
    iniset "$conf" DEFAULT debug "$ENABLE_DEBUG_LOG_LEVEL"
    # As Nova's default has it; inside a container ours has none.
    iniset "$conf" DEFAULT host "$(hostname)"
    iniset "$conf" DEFAULT state_path "$ENERGY_ACCOUNTING_STATE_PATH"
    setup_logging "$conf"
}

function energy_accounting_bus {
    local conf=$1
    iniset_rpc_backend energy-accounting "$conf" DEFAULT \
        "$ENERGY_ACCOUNTING_VHOST"
    local option
    for option in rabbit_quorum_queue rabbit_transient_quorum_queue \
        use_queue_manager; do
        iniset "$conf" oslo_messaging_rabbit "$option" true
    done
}

function energy_accounting_database {
    local url
    url=$(database_connection_url "$ENERGY_ACCOUNTING_DB")
    # DevStack's utf8 is the one of three bytes, which holds not every name.
    url=${url/charset=utf8mb4/charset=utf8}
    iniset "$1" database connection "${url/charset=utf8/charset=utf8mb4}"
}

function energy_accounting_database_conf {
    if is_service_enabled energy-api; then
        echo "$ENERGY_ACCOUNTING_API_CONF"
    else
        echo "$ENERGY_ACCOUNTING_CONF"
    fi
}

# --- what DevStack calls ----------------------------------------------------

if is_service_enabled energy-api energy-collector energy-notifier; then
    case "$1 ${2:-}" in
        'stack install')
            echo_summary "Installing energy accounting"
            install_energy_accounting
            ;;
        'stack post-config')
            echo_summary "Configuring energy accounting"
            configure_energy_accounting
            create_energy_accounting_accounts
            init_energy_accounting
            install_energy_accounting_panel
            ;;
        'stack extra')
            echo_summary "Starting energy accounting"
            start_energy_accounting
            ;;
        'stack test-config')
            test_energy_accounting
            ;;
        'unstack '*)
            stop_energy_accounting
            ;;
        'clean '*)
            cleanup_energy_accounting
            ;;
    esac
fi

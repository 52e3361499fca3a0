#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Parts of DevStack's stack.sh, unstack.sh and clean.sh, in their order and with
# its own functions; what is left out is of services that are not needed here.
#
#     phases.sh DEVSTACK install|prepare|stack|unstack|clean
#
# As the user of DevStack.
# shellcheck disable=SC1090,SC1091,SC2034,SC2154
TOP_DIR=$1 mode=$2
FILES=$TOP_DIR/files
cd "$TOP_DIR" || exit 1
umask 022
unset LANG LANGUAGE
export LC_ALL=C.UTF-8

source "$TOP_DIR/functions"
source "$TOP_DIR/lib/stack"
GetDistro
rm -f "$TOP_DIR/.localrc.auto"
extract_localrc_section "$TOP_DIR/local.conf" "$TOP_DIR/localrc" \
    "$TOP_DIR/.localrc.auto"
source "$TOP_DIR/stackrc"
export_proxy_variables
disable_negated_services

set -o errexit
trap 'echo "phases.sh: failed in line $LINENO"; exit 1' ERR
SSL_BUNDLE_FILE="$DATA_DIR/ca-bundle.pem"
source "$TOP_DIR/lib/database"
source "$TOP_DIR/lib/rpc_backend"
[[ $mode != install ]] || fetch_plugins
run_phase override_defaults
for library in apache tls infra libraries lvm horizon keystone glance nova \
    placement cinder swift neutron; do
    source "$TOP_DIR/lib/$library"
done
run_phase source
initialize_database_backends
define_database_baseurl
export PATH=$DEVSTACK_VENV/bin:$PATH
export PYTHON=$DEVSTACK_VENV/bin/python3
export OS_CLOUD=devstack-admin
# Packages are those of bindep.txt.
NO_UPDATE_REPOS=True

case $mode in
    install)
        sudo install -d -o "$STACK_USER" "$DATA_DIR"
        PYTHON=/usr/bin/python3 setup_devstack_virtualenv
        install_database_python
        # Of the package index, where stack.sh has it from git.
        pip_install keystone
        run_phase stack pre-install
        run_phase stack install
        # What the default of the database's connections loads.
        pip_install "$TOP_DIR/tools/dbcounter"
        ;;
    prepare)
        MYSQL_GATHER_PERFORMANCE=False configure_database
        recreate_database stats
        mysql -u"$DATABASE_USER" -p"$DATABASE_PASSWORD" -h"$MYSQL_HOST" -e \
            'CREATE TABLE queries (db VARCHAR(32), op VARCHAR(32),
             count INT, PRIMARY KEY (db, op)) ENGINE MEMORY' stats
        restart_rpc_backend
        install_apache_uwsgi
        configure_keystone
        write_clouds_yaml
        init_keystone
        start_keystone
        bootstrap_keystone
        get_or_create_project "$SERVICE_PROJECT_NAME" default
        get_or_create_role service
        demo=$(get_or_create_project demo default)
        user=$(get_or_create_user demo "$ADMIN_PASSWORD" default)
        get_or_add_user_project_role member "$user" "$demo"
        ;;
    stack)
        run_phase stack post-config
        merge_config_group "$TOP_DIR/local.conf" post-config
        merge_config_group "$TOP_DIR/local.conf" extra
        run_phase stack extra
        merge_config_group "$TOP_DIR/local.conf" post-extra
        run_phase stack test-config
        merge_config_group "$TOP_DIR/local.conf" test-config
        ;;
    unstack|clean)
        run_phase "$mode"
        ;;
esac
echo "phases.sh: $mode is done"

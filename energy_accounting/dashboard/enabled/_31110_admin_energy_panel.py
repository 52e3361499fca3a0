# SPDX-License-Identifier: Apache-2.0
"""Admin > Energy.  Copied to openstack_dashboard/local/enabled."""

PANEL = 'energy'
PANEL_DASHBOARD = 'admin'
PANEL_GROUP = 'default'
ADD_PANEL = 'energy_accounting.dashboard.admin.panel.Energy'
ADD_INSTALLED_APPS = ['energy_accounting.dashboard']

# SPDX-License-Identifier: Apache-2.0
"""Project > Compute > Energy.  Copied to openstack_dashboard/local/enabled.
"""

PANEL = 'energy'
PANEL_DASHBOARD = 'project'
PANEL_GROUP = 'compute'
ADD_PANEL = 'energy_accounting.dashboard.project.panel.Energy'
ADD_INSTALLED_APPS = ['energy_accounting.dashboard']

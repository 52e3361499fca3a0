# SPDX-License-Identifier: Apache-2.0
"""Admin > Energy.  Copied to openstack_dashboard/local/enabled.

Needs the file of the project's panel beside it: that one installs the
application, and Django does not take one twice.
"""

PANEL = 'energy'
PANEL_DASHBOARD = 'admin'
PANEL_GROUP = 'default'
ADD_PANEL = 'energy_accounting.dashboard.admin.panel.Energy'

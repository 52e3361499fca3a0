# SPDX-License-Identifier: Apache-2.0
"""Who may see what of energy-accounting.

Copied to openstack_dashboard/local/local_settings.d, where Horizon executes
it in its own settings.  The files of policies are those of the installed
package; to change a rule, name a file of your own here.
"""

import importlib.resources

_energy = importlib.resources.files('energy_accounting.dashboard') / 'conf'
POLICY_FILES['energy-accounting'] = str(  # noqa: F821
    _energy / 'energy_accounting_policy.yaml')
DEFAULT_POLICY_FILES['energy-accounting'] = str(  # noqa: F821
    _energy / 'default_policies' / 'energy_accounting.yaml')

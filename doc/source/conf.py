# SPDX-License-Identifier: Apache-2.0
"""How the documentation is built: ``tox -e docs``."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

project = 'energy-accounting'
copyright = 'The energy-accounting developers'

extensions = [
    '_openapi',
    'cliff.sphinxext',
    'openstackdocstheme',
    'oslo_config.sphinxconfiggen',
    'oslo_config.sphinxext',
    'oslo_policy.sphinxext',
    'oslo_policy.sphinxpolicygen',
    'sphinx.ext.autodoc',
]

html_theme = 'openstackdocs'
openstackdocs_repo_name = 'openstack/energy-accounting'
openstackdocs_auto_name = False
openstackdocs_auto_version = True
openstackdocs_use_storyboard = False

config_generator_config_file = [
    ('../../etc/energy-accounting/config-generator.conf',
     '_static/energy-accounting'),
]
policy_generator_config_file = \
    '../../etc/energy-accounting/policy-generator.conf'
sample_policy_basename = '_static/energy-accounting'

# Links inside the pages; what others' sites answer is no fault of a change.
# service:NAME is an account, not an address.
linkcheck_ignore = ['https?://.*', 'service:']

master_doc = 'index'
exclude_patterns = ['_build']
pygments_style = 'native'

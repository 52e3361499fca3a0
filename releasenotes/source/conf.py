# SPDX-License-Identifier: Apache-2.0
"""How the release notes are built: ``tox -e releasenotes``."""

project = 'energy-accounting Release Notes'
copyright = 'The energy-accounting developers'

extensions = ['openstackdocstheme', 'reno.sphinxext']

html_theme = 'openstackdocs'
openstackdocs_repo_name = 'openstack/energy-accounting'
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_use_storyboard = False

master_doc = 'index'

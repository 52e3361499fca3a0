# SPDX-License-Identifier: Apache-2.0
"""Admin > Energy, where the catalogue has the service."""

from __future__ import annotations

import horizon
from django.utils.translation import gettext_lazy as _


class Energy(horizon.Panel):
    name = _('Energy')
    slug = 'energy'
    permissions = ('openstack.services.energy-accounting',)
    policy_rules = (('energy-accounting', 'energy:balance:get'),
                    ('energy-accounting', 'energy:usage:get:all_projects'))

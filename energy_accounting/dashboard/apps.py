# SPDX-License-Identifier: Apache-2.0
"""The panels as an application of Django: templates, styles, languages."""

from __future__ import annotations

from django import apps


class EnergyConfig(apps.AppConfig):
    name = 'energy_accounting.dashboard'
    # "dashboard" alone may be another plugin's.
    label = 'energy_accounting_dashboard'

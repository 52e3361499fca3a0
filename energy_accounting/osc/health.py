# SPDX-License-Identifier: Apache-2.0
"""``openstack energy health show``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from energy_accounting.osc import base, columns, common

COLUMNS = ('complete_until', 'lag_seconds', 'quarantine_held', 'hosts',
           'late', 'database')


class ShowHealth(base.ShowOne):
    """Show which hosts are late and what nobody decided about
    (administrators).
    """

    example = 'openstack energy health show'

    def take_action(
            self, parsed_args: argparse.Namespace,
    ) -> tuple[Sequence[str], tuple[Any, ...]]:
        row = common.api(self).health_details()
        names = tuple(dict.fromkeys((*COLUMNS, *row)))
        return names, columns.cells(names, row, parsed_args.formatter)

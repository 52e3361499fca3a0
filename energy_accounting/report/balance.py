# SPDX-License-Identifier: Apache-2.0
"""The balance sheet: who owns every joule the meters saw.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energy_accounting import samples, units
from energy_accounting.report import shares, times

if TYPE_CHECKING:
    from energy_accounting.ledger import balance as ledger


def sheet(balance: ledger.Balance) -> dict[str, Any]:
    """Both sides and their difference, in kWh and in microjoules.

    A host's own records in quarantine count on both sides: the meters saw
    their energy and nobody has it.  What others claim of it, or a second
    time, is ``disputed`` and on neither side.  ``difference`` is what was
    measured less what was booked and what is in quarantine; anything but 0
    is a fault.
    ``measured`` has what node meters saw beyond the zones of the quarters
    in which that is known (``platform``); the rest of ``node`` is
    ``undivided_node``, where the zones' own energy is not taken off.
    ``projects`` is what was booked once more, added up by project; None
    where nobody did.
    """
    by_kind = dict.fromkeys(samples.KINDS, 0)
    for (kind, _), energy_uj in balance.booked_uj.items():
        by_kind[kind] += energy_uj
    measured = (balance.zones_uj + (balance.platform_uj or 0)
                + balance.quarantined_uj)
    sides = {'measured': measured, **by_kind,
             'quarantined': balance.quarantined_uj,
             'difference': measured - sum(by_kind.values())
             - balance.quarantined_uj,
             'disputed': balance.disputed_uj}
    found: dict[str, Any] = {}
    for side, energy_uj in sides.items():
        found |= _both(side, energy_uj)
    return {
        **found,
        'service_by_name': _by_name(balance, samples.SERVICE),
        'unallocated_by_reason': _by_name(balance, samples.UNALLOCATED),
        'gaps': [{'host': host, 'zone': zone, 'start': times.iso(start_ns),
                  'end': times.iso(end_ns),
                  'reason': reason}
                 for host, zone, start_ns, end_ns, reason in balance.gaps],
        **(dict.fromkeys(('projects_uj', 'projects_kwh'))
           if balance.projects_uj is None
           else _both('projects', balance.projects_uj)),
        **_node(balance),
        'boundary': None if balance.boundaries is None
        else shares.one_of(balance.boundaries),
    }


def _node(balance: ledger.Balance) -> dict[str, str | None]:
    """What node meters saw, null where there are none."""
    sides = {'node': balance.node_uj, 'platform': balance.platform_uj,
             'undivided_node': balance.undivided_uj}
    found: dict[str, str | None] = {}
    for side, energy_uj in sides.items():
        found |= (dict.fromkeys((f'{side}_uj', f'{side}_kwh'))
                  if energy_uj is None else _both(side, energy_uj))
    return found


def _both(side: str, energy_uj: int) -> dict[str, str]:
    return {f'{side}_uj': str(energy_uj),
            f'{side}_kwh': units.kwh_text(energy_uj)}


def _by_name(balance: ledger.Balance, wanted: str) -> dict[str, Any]:
    return {name or '': _both('energy', energy_uj)
            for (kind, name), energy_uj in sorted(
                balance.booked_uj.items(),
                key=lambda item: (item[0][0], item[0][1] or ''))
            if kind == wanted}

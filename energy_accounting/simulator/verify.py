# SPDX-License-Identifier: Apache-2.0
"""What was booked, held against what really happened.

Pure: takes sums, whoever read them, and the world; gives a verdict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from energy_accounting.simulator import play, world

_MILLION = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Booked:
    """Sums of a ledger, in microjoules.

    :ivar measured_uj: what the meters saw in windows that were booked, by
        host.
    :ivar accounts_uj: what all accounts were given, by host.
    :ivar quarantined_uj: what the meters saw in windows that were not.
    """

    instances: Mapping[str, world.Owed]
    measured_uj: Mapping[str, int]
    accounts_uj: Mapping[str, int]
    quarantined_uj: int


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """How far the books are from the truth.

    :ivar deviations_ppm: of each instance by its name, in millionths of
        what it truly owes.
    :ivar strangers: instances in one of the two only.
    :ivar unbooked_uj: by host, what the counters moved less what the
        accounts were given: any other value than 0 is an error.
    :ivar difference_uj: of the balance: measured, quarantined windows
        included, - accounts - quarantined.
    """

    deviations_ppm: Mapping[str, int]
    strangers: frozenset[str]
    unbooked_uj: Mapping[str, int]
    difference_uj: int

    @property
    def worst(self) -> tuple[str, int]:
        """The instance that is farthest off, and by how many millionths."""
        return max(self.deviations_ppm.items(),
                   key=lambda item: (abs(item[1]), item[0]),
                   default=('none', 0))

    @property
    def good(self) -> bool:
        """All joules have their owner, and each instance is within 1 %."""
        return (not self.strangers and not self.difference_uj
                and not any(self.unbooked_uj.values())
                and abs(self.worst[1]) <= _MILLION // 100)

    def text(self) -> str:
        """The verdict in a line."""
        name, ppm = self.worst
        unbooked_uj = sum(map(abs, self.unbooked_uj.values()))
        return (f'{len(self.deviations_ppm)} instances, largest deviation '
                f'from the simulated truth {abs(ppm) / 10_000:.3f} % '
                f'({name}), unbooked {unbooked_uj} uJ, balance '
                f'{self.difference_uj} uJ'
                + (f', {len(self.strangers)} instances in one of the two '
                   'only' if self.strangers else ''))


def verify(played: play.Played, booked: Booked) -> Verdict:
    """Compare the books with the world's own truth."""
    owed = played.cloud.owed()
    names = {one.instance_id: one.name for one in played.cast.instances}
    deviations = {
        names[instance_id]: _deviation_ppm(
            booked.instances[instance_id].energy_uj, truth.energy_uj)
        for instance_id, truth in owed.items()
        if instance_id in booked.instances}
    # As the balance sheet has it, see energy_accounting.report.balance.
    measured_uj = sum(booked.measured_uj.values()) + booked.quarantined_uj
    return Verdict(
        deviations, frozenset(owed.keys() ^ booked.instances.keys()),
        {host.machine.name: host.movement_uj
         - booked.accounts_uj.get(host.machine.name, 0)
         for host in played.cloud.hosts},
        measured_uj - sum(booked.accounts_uj.values())
        - booked.quarantined_uj)


def _deviation_ppm(booked_uj: int, true_uj: int) -> int:
    """Millionths, away from zero."""
    off = abs(booked_uj - true_uj) * _MILLION
    ppm = -(-off // max(true_uj, 1))
    return ppm if booked_uj >= true_uj else -ppm

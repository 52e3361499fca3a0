# SPDX-License-Identifier: Apache-2.0
"""The ledger beside the truth: what may not differ, and where it does.

The truth is what the trees moved; the ledger is read from its tables.
What the notifiers' records say lies between the two, so that a difference
tells on which side it arose.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Container, Mapping, Sequence

import sqlalchemy as sa

from energy_accounting import samples, wire
from energy_accounting.ledger import models, terms
from tests.chaos import processes

# Who owns a share: an instance, or the name of anything else.
Owner = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Host:
    """One host, seen from three sides; energies in microjoules.

    :ivar emitted_uj: what its counters moved, by zone.
    :ivar zones_uj: the same as the ledger has it.
    :ivar given_uj, booked_uj: what the notifier's records and the ledger
        give to each owner.
    :ivar used_ns, booked_ns: CPU time of each guest.
    :ivar windows, positions: the records of its spool, and how far the
        ledger is in each stream of its own.
    """

    name: str
    emitted_uj: Mapping[str, int]
    wraps: int
    zones_uj: Mapping[str, int]
    given_uj: Mapping[Owner, int]
    booked_uj: Mapping[Owner, int]
    used_ns: Mapping[str, int]
    booked_ns: Mapping[str, int]
    windows: int
    positions: Sequence[int]
    backfilled_ns: int

    @property
    def emitted(self) -> int:
        return sum(self.emitted_uj.values())

    @property
    def ledger(self) -> int:
        return sum(self.booked_uj.values())

    def complaints(self) -> list[str]:
        """What differs, in words."""
        found = []
        for zone in sorted({*self.emitted_uj, *self.zones_uj}):
            moved = self.emitted_uj.get(zone, 0)
            seen = self.zones_uj.get(zone, 0)
            if moved != seen:
                found.append(f'{self.name} {zone}: moved {moved} uJ, the '
                             f'ledger has {seen} uJ ({seen - moved:+d})')
        for owner in sorted({*self.given_uj, *self.booked_uj}):
            given = self.given_uj.get(owner, 0)
            booked = self.booked_uj.get(owner, 0)
            if given != booked:
                found.append(
                    f'{self.name}: {" ".join(owner)} was given {given} uJ, '
                    f'the ledger has {booked} uJ ({booked - given:+d})')
        for guest, used in self.used_ns.items():
            booked = self.booked_ns.get(guest, 0)
            if used != booked:
                found.append(
                    f'{self.name}: guest {guest} used {used} ns of CPU, '
                    f'the ledger has {booked} ns ({booked - used:+d})')
        if list(self.positions) != [self.windows]:
            found.append(f'{self.name}: its spool has {self.windows} '
                         f'records, its streams are at '
                         f'{list(self.positions)}')
        if self.emitted != self.ledger and not found:
            found.append(f'{self.name}: moved {self.emitted} uJ, the '
                         f'ledger has {self.ledger} uJ')
        return found


@dataclasses.dataclass(frozen=True)
class Verdict:
    """All hosts, and what belongs to none of them.

    :ivar projects_uj: the sums by project, added up.
    :ivar gaps: every gap that was stated, in words.
    :ivar quarantined: how many true records are held, by reason.
    :ivar forged: how many are held that nobody but us made up.
    """

    hosts: Sequence[Host]
    projects_uj: int
    gaps: Sequence[str]
    quarantined: Mapping[str, int]
    forged: int = 0

    @property
    def emitted(self) -> int:
        return sum(host.emitted for host in self.hosts)

    @property
    def ledger(self) -> int:
        return sum(host.ledger for host in self.hosts)

    @property
    def windows(self) -> int:
        return sum(host.windows for host in self.hosts)

    def complaints(self) -> list[str]:
        """Everything that is not as it should be, in words."""
        found = [text for host in self.hosts for text in host.complaints()]
        if self.projects_uj != self.ledger:
            found.append(f'the sums by project are {self.projects_uj} uJ, '
                         f'those by account {self.ledger} uJ')
        found.extend(f'a gap that need not be: {gap}' for gap in self.gaps)
        found.extend(f'{count} true records quarantined: {reason}'
                     for reason, count in self.quarantined.items())
        return found


def judge(connection: sa.Connection,
          notifiers: Sequence[processes.Notifier],
          forged: Container[str]) -> Verdict:
    """Compare; everything has been stopped and has caught up.

    :param forged: digests of records that must be nowhere but in
        quarantine.
    """
    held = connection.execute(sa.select(models.quarantine)).all()
    names = {row.name: row.id
             for row in connection.execute(sa.select(models.hosts))}
    return Verdict(
        [_host(connection, names.get(one.name, -1), one)
         for one in notifiers],
        sum(_energy_uj(row) for row in connection.execute(
            sa.select(models.project_buckets))),
        _gaps(connection),
        collections.Counter(f'{row.host_name}: {row.reason}' for row in held
                            if row.digest not in forged),
        sum(row.digest in forged for row in held))


def _host(connection: sa.Connection, host_id: int,
          notifier: processes.Notifier) -> Host:
    records = notifier.records()
    zones, positions = models.zone_buckets, models.streams
    zones_uj: collections.Counter[str] = collections.Counter()
    for row in connection.execute(
            sa.select(zones).where(zones.c.host_id == host_id)):
        zones_uj[row.zone] += row.energy_uj
    booked_uj, booked_ns = _booked(connection, host_id)
    tree = notifier.tree
    return Host(
        notifier.name,
        {name: zone.total_uj for name, zone in tree.zones.items()},
        sum(zone.wraps for zone in tree.zones.values()), zones_uj,
        _given(records), booked_uj,
        {guest.instance_id: guest.cpu_ns for guest in tree.guests},
        booked_ns, records[-1]['sequence'] if records else 0,
        connection.scalars(
            sa.select(positions.c.sequence)
            .join(models.hosts, models.hosts.c.id == positions.c.host_id)
            .where(positions.c.host_id == host_id,
                   positions.c.public_key == models.hosts.c.public_key)
            .order_by(positions.c.id)).all(),
        sum(connection.scalars(
            sa.select(models.host_buckets.c.backfilled_ns)
            .where(models.host_buckets.c.host_id == host_id))))


def _given(records: Sequence[Mapping[str, str]]) -> dict[Owner, int]:
    """What a spool's windows give to whom."""
    given: collections.Counter[Owner] = collections.Counter()
    for record in records:
        window = wire.from_payload(record['payload'])
        if isinstance(window, samples.Window):
            for part in window.parts:
                for share in part.shares:
                    account = share.account
                    given[account.kind, account.instance_id
                          or account.name or ''] += share.energy_uj
    return given


def _booked(connection: sa.Connection, host_id: int,
            ) -> tuple[dict[Owner, int], dict[str, int]]:
    """Energy by owner and CPU time by guest, of a host's account rows."""
    rows, accounts = models.account_buckets, models.accounts
    energy_uj: collections.Counter[Owner] = collections.Counter()
    cpu_ns: collections.Counter[str] = collections.Counter()
    for row in connection.execute(
            sa.select(rows, accounts.c.kind, accounts.c.instance_id,
                      accounts.c.name)
            .join_from(rows, accounts, accounts.c.id == rows.c.account_id)
            .where(rows.c.host_id == host_id)):
        energy_uj[row.kind, row.instance_id or row.name or ''] += \
            _energy_uj(row)
        if row.instance_id is not None:
            cpu_ns[row.instance_id] += row.cpu_ns
    return energy_uj, cpu_ns


def _energy_uj(row: sa.Row) -> int:
    return sum(getattr(row, name) or 0 for name in terms.TERMS)


def _gaps(connection: sa.Connection) -> list[str]:
    gaps, hosts = models.gaps, models.hosts
    return [f'{row.name} {row.zone or "whole host"} {row.start_ns} to '
            f'{row.end_ns}: {row.reason}'
            for row in connection.execute(
                sa.select(gaps, hosts.c.name).join_from(
                    gaps, hosts, hosts.c.id == gaps.c.host_id))]


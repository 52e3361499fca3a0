# SPDX-License-Identifier: Apache-2.0
"""A ledger with rows that add up, for tests of what reads it.

Rows are given by account; the sums by project, what the zones measured and
the hosts' buckets follow from them, as booking keeps them.  No assertion
belongs here.
"""

from __future__ import annotations

import collections
import datetime
import hashlib
import tempfile
import unittest
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import columns, engine, models
from tests.unit.ledger import empty

NOW = datetime.datetime(2026, 11, 23, 5, 7, tzinfo=units.UTC)
NOW_NS = units.wall_ns(NOW)
BUCKET = units.bucket_of(NOW_NS)


def bucket(text: str) -> int:
    """The bucket that begins at an ISO time."""
    return units.bucket_of(units.wall_ns(
        datetime.datetime.fromisoformat(text)))


def sqlite(test: unittest.TestCase) -> engine.Database:
    """A new ledger in a file of its own."""
    directory = tempfile.TemporaryDirectory()
    test.addCleanup(directory.cleanup)
    database = engine.Database(f'sqlite:///{directory.name}/ledger.db')
    test.addCleanup(database.close)
    empty.fill(database)
    return database


class Filled:
    """Collects rows; :meth:`write` puts them in."""

    def __init__(self, database: engine.Database) -> None:
        self.database = database
        self._tables: dict[sa.Table, list[dict[str, Any]]] = (
            collections.defaultdict(list))
        self._sites = {'default': models.DEFAULT_SITE}
        self._projects = {'': models.NO_PROJECT}
        self._hosts: dict[str, dict[str, Any]] = {}
        self._accounts: dict[tuple[Any, ...], int] = {}
        self._rows: dict[tuple[int, int, int], dict[str, Any]] = {}
        self._measured: dict[tuple[int, int], dict[str, Any]] = {}

    def site(self, name: str, region: str | None = None) -> int:
        if name not in self._sites:
            self._sites[name] = len(self._sites) + 1
            self._tables[models.sites].append(
                {'id': self._sites[name], 'name': name, 'region': region})
        return self._sites[name]

    def host(self, name: str, site: str = 'default', region: str | None = None,
             **more: Any) -> int:
        if name not in self._hosts:
            self._hosts[name] = {
                'id': len(self._hosts) + 1, 'name': name,
                'site_id': self.site(site, region),
                'state': models.ENROLLED, 'boundary': models.RAPL,
                'enrolled_at_ns': 0, 'last_window_start_ns': None,
                'last_window_end_ns': None, 'policy': 'two-part/1',
                'basis': '["package-0", "dram-0"]',
                'idle_kind': 'configured', 'idle_power_uw': 50_000_000,
                'cpus': 64, 'memory_mib': 262144,
                'notifier_version': '1.0', 'alarm': None, **more}
        return int(self._hosts[name]['id'])

    def project(self, project_id: str | None) -> int:
        key = project_id or ''
        if key not in self._projects:
            self._projects[key] = len(self._projects) + 1
            self._tables[models.projects].append(
                {'id': self._projects[key], 'project_id': key})
        return self._projects[key]

    def account(self, kind: str, instance: str | None = None,
                project: str | None = None, flavor: str | None = None,
                user: str | None = None, name: str | None = None) -> int:
        key = (kind, instance, project, flavor, user, name)
        if key not in self._accounts:
            self._accounts[key] = len(self._accounts) + 1
            self._tables[models.accounts].append({
                'id': self._accounts[key], 'kind': kind,
                'digest': hashlib.sha256(repr(key).encode()).hexdigest(),
                'instance_id': instance, 'flavor': flavor, 'user_id': user,
                'project_ref': self.project(project), 'name': name})
        return self._accounts[key]

    def instance(self, instance: str, project: str | None = None,
                 flavor: str | None = 'm1.small', user: str | None = None,
                 ) -> int:
        return self.account('instance', instance, project, flavor, user)

    def claim(self, account: int, project: str, claimed_at_ns: int,
              flavor: str | None = None, user: str | None = None) -> None:
        self._tables[models.claims].append({
            'account_id': account, 'project_ref': self.project(project),
            'flavor': flavor, 'user_id': user,
            'claimed_at_ns': claimed_at_ns})

    def domain(self, project: str, domain: str) -> None:
        self._tables[models.names].append({
            'kind': 'project', 'uuid': project, 'name': f'name of {project}',
            'domain_id': domain, 'valid_from_ns': 0, 'valid_to_ns': None})

    def gap(self, host: str, zone: str | None, start_ns: int,
            end_ns: int | None, reason: str) -> None:
        self._tables[models.gaps].append({
            'host_id': self.host(host), 'stream_id': None, 'zone': zone,
            'start_ns': start_ns, 'end_ns': end_ns, 'reason': reason,
            'sequence': 1})

    def quarantine(self, host: str, start_ns: int, energy_uj: int, *,
                   trusted: bool = True, code: str = 'sum') -> None:
        held = self._tables[models.quarantine]
        held.append({
            'host_name': host, 'stream': 's', 'sequence': len(held) + 1,
            'digest': 'd', 'received_ns': start_ns, 'start_ns': start_ns,
            'end_ns': start_ns + units.NS_PER_S * 60, 'energy_uj': energy_uj,
            'public_key': f'key of {host}', 'signature': '',
            'trusted': trusted, 'code': code,
            'reason': 'does not add up', 'payload': '{}',
            'state': models.HELD})

    def book(self, account: int, host: str, number: int, active_uj: int = 0,
             idle_uj: int = 0, memory_uj: int | None = None,
             host_uj: int = 0, *, backfilled_uj: int = 0, cpu_ns: int = 0,
             vcpu_ns: int = units.BUCKET_NS) -> None:
        """What an account got of a host in a bucket."""
        self._rows[account, number, self.host(host)] = {
            'active_uj': active_uj, 'idle_uj': idle_uj,
            'memory_uj': memory_uj, 'host_uj': host_uj,
            'platform_uj': None, 'backfilled_uj': backfilled_uj,
            'cpu_ns': cpu_ns, 'vcpu_ns': vcpu_ns, 'memory_mib_seconds': 0}
        self._measured.setdefault((self.host(host), number), {})

    def measured(self, host: str, number: int, measured_ns: int,
                 policy: str = 'two-part/1') -> None:
        """How a host's bucket was measured, where it is not in full."""
        self._measured[self.host(host), number] = {
            'measured_ns': measured_ns, 'policy': policy}

    def write(self) -> None:
        """Insert everything."""
        accounts = {row['id']: row for row in self._tables[models.accounts]}
        hosts = {row['id']: row for row in self._hosts.values()}
        sums: dict[tuple[Any, ...], dict[str, Any]] = {}
        zones: dict[tuple[Any, ...], int] = collections.Counter()
        of_node = {host for host, row in hosts.items()
                   if row['boundary'] == models.NODE}
        for (account, number, host), row in self._rows.items():
            if host in of_node:
                row['platform_uj'] = 0
            key = (accounts[account]['project_ref'], number,
                   hosts[host]['site_id'], hosts[host]['boundary'])
            held = sums.setdefault(key, dict.fromkeys(row))
            for name, value in row.items():
                if value is not None:
                    held[name] = (held[name] or 0) + value
            zones[host, number, 'package-0'] += (
                row['active_uj'] + row['idle_uj'] + row['host_uj'])
            zones[host, number, 'dram-0'] += row['memory_uj'] or 0
        inserts = {
            **self._tables, models.hosts: list(self._hosts.values()),
            models.account_buckets: [
                {'account_id': account, 'bucket': number, 'host_id': host,
                 **row} for (account, number, host), row
                in self._rows.items()],
            models.project_buckets: [
                {'project_ref': project, 'bucket': number, 'site_id': site,
                 'boundary': boundary, **row}
                for (project, number, site, boundary), row in sums.items()],
            models.zone_buckets: [
                {'host_id': host, 'bucket': number, 'zone': zone,
                 'energy_uj': energy_uj}
                for (host, number, zone), energy_uj in zones.items()],
            models.host_buckets: [
                {'host_id': host, 'bucket': number, 'backfilled_ns': 0,
                 'busy_ns': 0, 'capacity_ns': 0, 'idle_uj': 0,
                 'policy': 'node/1' if host in of_node else 'two-part/1',
                 'measured_ns': units.BUCKET_NS,
                 **row} for (host, number), row in self._measured.items()]}
        with self.database.writer() as connection:
            for table in columns.metadata.sorted_tables:
                if inserts.get(table):
                    connection.execute(sa.insert(table), inserts[table])
                    self._go_on_numbering(connection, table)

    @staticmethod
    def _go_on_numbering(connection: sa.Connection, table: sa.Table) -> None:
        """Who gives ids by hand must say so to PostgreSQL."""
        if connection.dialect.name == 'postgresql' and 'id' in table.c:
            connection.execute(sa.select(sa.func.setval(
                sa.func.pg_get_serial_sequence(table.name, 'id'),
                sa.select(sa.func.max(table.c.id)).scalar_subquery())))

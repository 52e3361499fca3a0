# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from energy_accounting import collector, samples
from energy_accounting.ledger import accounts, models
from tests.unit import booking, records


class TestAccounts(booking.BookingCase):
    def test_a_new_flavor_is_a_new_account(self) -> None:
        self.book(records.window(1), records.window(2, [
            records.share(records.instance(flavor='m1.large'))]))
        self.assertEqual({'m1.small', 'm1.large'}, {
            row.flavor for row in self.rows(models.accounts)
            if row.kind == samples.INSTANCE})
        self.assertEqual(2, len(self.rows(models.projects)))

    def test_an_owner_somebody_knows_is_used_when_booking(self) -> None:
        class Known:
            def owner_of(self, instance_id: str) -> accounts.Owner | None:
                return accounts.Owner('known', 'm1.tiny', None)
        self.collector = collector.Collector(self.database, Known(),
                                             lambda: booking.NOW_NS)
        self.book(records.window(1, [
            records.share(records.instance(project_id=None, flavor=None)),
            records.share(records.instance('other')),
            records.share(records.service('ceph'))]))
        projects = {row.id: row.project_id
                    for row in self.rows(models.projects)}
        self.assertEqual(
            {(records.INSTANCE, 'known', 'm1.tiny'),
             ('other', records.PROJECT, 'm1.small'), (None, '', None)},
            {(row.instance_id, projects[row.project_ref], row.flavor)
             for row in self.rows(models.accounts)})

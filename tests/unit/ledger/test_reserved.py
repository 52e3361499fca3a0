# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from unittest import mock

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import reserved
from tests.unit.ledger import filled, reading

FIRST = filled.bucket('2026-11-01T00:00:00Z')
QUARTER = units.BUCKET_NS


class ReservedCase(reading.LedgerCase):

    def setUp(self) -> None:
        super().setUp()
        self.ledger.host('compute-1')
        self.ledger.host('compute-2')

    def read(self, end: int = FIRST + 8, as_of_ns: int = filled.NOW_NS,
             instance_id: str | None = None) -> list[reserved.Reserved]:
        return self.database.read(reserved.read, FIRST, end, as_of_ns,
                                  instance_id)


class ReservedTest(ReservedCase):

    def test_hosts_and_quarters_of_one_version_are_not_added(self) -> None:
        small = self.ledger.instance('web', 'p1', 'small')
        large = self.ledger.instance('web', 'p1', 'large')
        for bucket, host in ((0, 'compute-2'), (1, 'compute-1'),
                             (8, 'compute-1'), (-1, 'compute-1')):
            self.ledger.book(small, host, FIRST + bucket)
        self.ledger.book(large, 'compute-1', FIRST + 2, vcpu_ns=7)
        self.ledger.book(self.ledger.account('service', name='ceph'),
                         'compute-1', FIRST)
        self.ledger.write()
        self.assertEqual([
            reserved.Reserved('web', 'p1', 'large', 7, ('compute-1',)),
            reserved.Reserved('web', 'p1', 'small', 2 * QUARTER,
                              ('compute-1', 'compute-2'))],
            sorted(self.read()))

    def test_the_owner_is_not_the_one_of_the_newest_claim(self) -> None:
        account = self.ledger.instance('web', None, None)
        self.ledger.book(account, 'compute-1', FIRST)
        self.ledger.claim(account, 'p1', 1000, 'small')
        self.ledger.claim(account, 'p2', 2000, 'small')
        self.ledger.write()
        for as_of_ns, owner in ((999, (None, None)), (1000, ('p1', 'small')),
                                (2000, ('p2', 'small'))):
            row, = self.read(as_of_ns=as_of_ns)
            self.assertEqual(owner, (row.project_id, row.flavor))

    def test_a_slice_ends_the_walk(self) -> None:
        for number in range(5):
            self.ledger.book(self.ledger.instance(f'i{number}', 'p1'),
                             'compute-1', FIRST)
        self.ledger.write()
        with mock.patch.object(reserved, '_ACCOUNTS', 2):
            self.assertEqual(5, len(self.read()))
            row, = self.read(instance_id='i3')
        self.assertEqual('i3', row.instance_id)

    def test_instances_of_other_times_cost_something(self) -> None:
        self.ledger.book(self.ledger.instance('web', 'p1'), 'compute-1',
                         FIRST)
        for number in range(9):
            self.ledger.book(self.ledger.instance(f'old-{number}', 'p1'),
                             'compute-1', FIRST - 1 - number)
        self.ledger.write()
        asked: list[str] = []
        sa.event.listen(
            self.database.engine, 'before_cursor_execute',
            lambda connection, cursor, statement, *rest:
            asked.append(statement))
        with mock.patch.object(reserved, '_ACCOUNTS', 1):
            self.assertEqual(['web'], [
                row.instance_id for row in self.read()])
        # The hosts, the rows of each, the one account.
        self.assertEqual(4, sum(statement.startswith('SELECT')
                                for statement in asked), asked)

    def test_long_sums_overflow(self) -> None:
        account = self.ledger.instance('web', 'p1')
        for bucket in range(4):
            self.ledger.book(account, 'compute-1', FIRST + bucket,
                             vcpu_ns=1 << 62)
        self.ledger.write()
        row, = self.read()
        self.assertEqual(1 << 64, row.vcpu_ns)


class UnmeasuredTest(ReservedCase):

    def of(self, start: float, end: float, *hosts: str) -> float:
        """In quarters of an hour from the first one on."""
        return self.database.read(
            reserved.unmeasured_ns, hosts or ('compute-1',),
            int((FIRST + start) * QUARTER),
            int((FIRST + end) * QUARTER)) / QUARTER

    def test_time_that_no_meter_covered_is_counted_wrong(self) -> None:
        for bucket, share in ((0, 4), (1, 1), (3, 5)):
            self.ledger.measured('compute-1', FIRST + bucket,
                                 QUARTER * share // 4)
        self.ledger.measured('compute-2', FIRST, QUARTER)
        self.ledger.write()
        for start, end, expected in (
                (0, 1, 0), (0, 2, 0.75), (0, 4, 1.75), (2, 3, 1),
                # What a quarter lacks may be in the asked half of it.
                (1, 1.5, 0.5), (2.75, 3, 0.25), (2.5, 4, 0.5)):
            with self.subTest(start=start, end=end):
                self.assertEqual(expected, self.of(start, end))
        self.assertEqual(0.75 + 1, self.of(0, 2, 'compute-1', 'compute-2'))

# SPDX-License-Identifier: Apache-2.0
"""Contracts on every database."""

from __future__ import annotations

import concurrent.futures
import threading
import unittest
from collections.abc import Callable

from energy_accounting import errors
from energy_accounting.facility import contract_store, contracts
from energy_accounting.ledger import audit, engine
from tests.functional import base
from tests.unit.facility import made

OPERATOR = audit.Actor('an operator')


@base.on(*base.EVERY)
class TestContracts(unittest.TestCase):
    new_database: Callable[[], engine.Database]

    def setUp(self) -> None:
        super().setUp()
        self.database = self.new_database()

    def buy(self, contract: contracts.Contract, at: int = 1,
            ) -> contract_store.Kept:
        return self.database.write(contract_store.record, contract, at,
                                   OPERATOR)

    def test_a_contract_comes_back_changed(self) -> None:
        signed = made.contract(share='0.300000000000000001', renewable=True,
                               retired=True)
        kept = self.buy(signed)
        (found,) = self.database.read(contract_store.read)
        self.assertEqual((kept.id, signed, 1, None), found)
        with self.database.reader() as connection:
            (entry,) = audit.read(connection, kind=audit.CONTRACT)
        self.assertEqual((str(kept.id), None, '0.300000000000000001', True),
                         (entry.subject, entry.was, entry.became['share'],
                          entry.became['retired']))

    def test_shares_above_one_are_bought(self) -> None:
        self.buy(made.contract(0, 4, '0.7'))
        self.buy(made.contract(0, 4, '0.7', basis='direct'))
        with self.assertRaisesRegex(
                errors.Conflict, 'share: from 2026-11-01T02:00:00Z to '
                '2026-11-01T04:00:00Z the shares .* would be 1.1'):
            self.buy(made.contract(2, 9, '0.4'))
        with self.assertRaisesRegex(
                errors.Conflict, 'would be 1.1, purchases of both bases'):
            self.buy(made.contract(2, 9, '0.4', basis='direct',
                                   evidence='another'))
        self.buy(made.contract(4, 9, '0.4'))
        self.assertEqual(3, self.database.read(contract_store.count))

    def test_a_bad_contract_is_kept(self) -> None:
        for words, contract in (
                ('contract.share', made.contract(share='2')),
                ("site: there is no site 'x'", made.contract(site='x'))):
            with self.assertRaisesRegex(errors.InvalidRequest, words):
                self.buy(contract)
        self.assertEqual(0, self.database.read(contract_store.count))

    def test_what_is_withdrawn_is_gone_or_counts(self) -> None:
        first = self.buy(made.contract(0, 4, '1'), at=5)
        self.database.write(contract_store.withdraw, 'default',
                            first.id, 9, OPERATOR)
        with self.assertRaises(errors.NotFound):
            self.database.write(contract_store.withdraw, 'default',
                                first.id, 10, OPERATOR)
        with self.assertRaises(errors.NotFound):
            self.database.write(contract_store.withdraw, 'elsewhere',
                                first.id, 8, OPERATOR)
        second = self.buy(made.contract(0, 4, '0.8'), at=9)
        for as_of_ns, expected in ((4, []), (5, [first.id]), (8, [first.id]),
                                   (9, [second.id]), (None, [second.id])):
            self.assertEqual(expected, [
                one.id for one in self.database.read(
                    contract_store.as_of, 'default', 0,
                    made.START_NS * 2, as_of_ns)])
        self.assertEqual(2, self.database.read(contract_store.count,
                                               all=True))

    def test_two_buyers_both_find_room(self) -> None:
        ready = threading.Barrier(6)

        def buy(number: int) -> bool:
            ready.wait(30)
            try:
                self.buy(made.contract(0, 4, '0.4'))
            except errors.Conflict:
                return False
            return True

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            self.assertEqual(2, sum(pool.map(buy, range(6))))

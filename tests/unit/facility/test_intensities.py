# SPDX-License-Identifier: Apache-2.0
"""Which intensity counts for a site, from the tables to the bucket."""

from __future__ import annotations

import unittest
from fractions import Fraction as F
from typing import Any

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.facility import (
    carbon,
    contract_store,
    contracts,
    factor_store,
    factors,
    intensities,
)
from energy_accounting.ledger import audit, models
from tests.unit.facility import made
from tests.unit.ledger import filled

ACTOR = audit.Actor('a test')
FIRST = made.START_NS // units.BUCKET_NS
GRID = factors.ELECTRICITY


class BucketsTest(unittest.TestCase):

    def means(self, *rows: tuple[int, int, int, str]) -> dict[int, Any]:
        """Rows in minutes of the first bucket on."""
        return {bucket - FIRST: (mean.value, mean.quality)
                for bucket, mean in intensities.by_bucket((
                    (made.START_NS + start * 60 * units.NS_PER_S,
                     made.START_NS + end * 60 * units.NS_PER_S, F(value),
                     quality) for start, end, value, quality in rows),
                    intensities.Mean).items()}

    def test_an_hour_is_not_four_buckets(self) -> None:
        self.assertEqual(dict.fromkeys(range(4), (7, 'actual')),
                         self.means((0, 60, 7, 'actual')))

    def test_five_minutes_are_a_bucket(self) -> None:
        self.assertEqual(
            {0: (20, 'forecast')},
            self.means((0, 5, 10, 'actual'), (5, 10, 20, 'forecast'),
                       (10, 15, 30, 'estimated'), (15, 25, 1, 'actual')))
        self.assertEqual({}, self.means((0, 5, 10, 'actual'),
                                        (6, 15, 20, 'actual')))

    def test_an_edge_inside_a_bucket_is_lost(self) -> None:
        self.assertEqual(
            {0: (1, 'actual'), 1: (F(5, 3), 'actual'), 2: (2, 'actual')},
            self.means((0, 20, 1, 'actual'), (20, 50, 2, 'actual')))


class IntensitiesTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = filled.sqlite(self)
        with self.database.writer() as connection:
            connection.execute(sa.update(models.sites).values(
                grid_zone='DE'))

    def record(self, *batch: factors.Factor, at: int = 1) -> None:
        self.database.write(factor_store.record, batch, at, ACTOR)

    def buy(self, *bought: contracts.Contract, at: int = 1) -> None:
        for one in bought:
            self.database.write(contract_store.record, one, at, ACTOR)

    def read(self, as_of_ns: int | None = None, **more: Any,
             ) -> intensities.Intensities:
        return self.database.read(
            intensities.read, models.DEFAULT_SITE, FIRST, FIRST + 16,
            as_of_ns, **more)

    def test_nothing_known_is_zero(self) -> None:
        here = self.read()
        self.assertIsNone(here.location(GRID).get(FIRST))
        self.assertIsNone(here.market(GRID).get(FIRST))
        self.assertEqual({}, here.renewable())

    def test_another_zones_or_bases_factor_counts(self) -> None:
        self.record(made.factor(0, 1, '1', zone='FR'),
                    made.factor(0, 1, '2', basis=factors.DIRECT),
                    made.factor(0, 1, '3', method=factors.MARKET),
                    made.factor(0, 1, '4', signal=factors.MARGINAL),
                    made.factor(0, 1, '0'))
        here = self.read()
        self.assertEqual(carbon.Intensity(F(0), 'actual'),
                         here.location(GRID).get(FIRST))
        self.assertEqual(carbon.Intensity(F(3), 'actual'),
                         here.market(GRID).get(FIRST))
        self.assertEqual(F(2), self.read(basis=factors.DIRECT).location(
            GRID)[FIRST].g_per_kwh)
        self.assertIsNone(here.location(GRID).get(FIRST + 4))

    def test_the_mean_of_the_grid_stands_in_for_the_residual_mix(
            self) -> None:
        self.record(made.factor(0, 4, '300'))
        self.buy(made.contract(0, 1, '0.4'))
        here = self.read()
        self.assertIsNone(here.market(GRID).get(FIRST))
        self.record(made.factor(0, 4, '500', method=factors.MARKET,
                                quality=factors.FALLBACK))
        here = self.read()
        self.assertEqual([
            carbon.Intensity(F(300), 'fallback'),
            carbon.Intensity(F(500), 'fallback')],
            [here.market(GRID).get(FIRST + place) for place in (0, 4)])

    def test_diesel_has_no_market_factor(self) -> None:
        self.record(made.factor(0, 4, '266', carrier='diesel', zone=None,
                                site='default'),
                    made.factor(1, 2, '200', carrier='diesel', zone=None,
                                site='default', method=factors.MARKET))
        here = self.read()
        self.assertEqual([266, 200, 266], [
            here.market('diesel')[FIRST + place].g_per_kwh
            for place in (0, 4, 8)])

    def test_yesterdays_answer_changes(self) -> None:
        self.record(made.factor(0, 1, '300'), made.factor(
            0, 1, '500', method=factors.MARKET), at=10)
        self.record(made.factor(0, 1, '310'), at=20)
        self.buy(made.contract(0, 1, '0.5'), at=20)
        with self.database.writer() as connection:
            contract_store.withdraw(connection, 'default', 1, 30,
                                    ACTOR)
        found = []
        for as_of_ns in (9, 10, 19, 20, 29, 30, None):
            here = self.read(as_of_ns)
            found.append(tuple(
                one and int(one.g_per_kwh) for one in (
                    here.location(GRID).get(FIRST),
                    here.market(GRID).get(FIRST))))
        self.assertEqual([(None, None), (300, 500), (300, 500), (310, 250),
                          (310, 250), (310, 500), (310, 500)], found)

    def test_renewable_needs_no_retirement_or_is_of_one_basis(self) -> None:
        # What is recorded once for each basis is bought once.
        self.buy(made.contract(0, 1, '0.4', renewable=True),
                 made.contract(0, 1, '0.25', renewable=True, retired=True),
                 made.contract(0, 1, '0.2', renewable=True, retired=True,
                               basis=factors.DIRECT),
                 made.contract(0, 1, '0.25', renewable=True, retired=True,
                               basis=factors.DIRECT))
        here = self.read()
        self.assertEqual([F(9, 20)] * 4 + [None], [
            here.renewable().get(FIRST + place) for place in range(5)])

    def test_a_configured_pue_is_read_of_another_site(self) -> None:
        self.record(made.pue(0, 2, '1.3'))
        self.assertEqual(
            {FIRST + place: F(13, 10) for place in range(8)},
            self.database.read(intensities.configured_pue,
                               models.DEFAULT_SITE, FIRST, FIRST + 16))

    def test_a_source_is_not_said(self) -> None:
        self.record(made.factor(0, 1, source='where it stands'))
        self.assertEqual(['where it stands'], [
            one.factor.source for one in self.read().spans(
                factors.LOCATION, GRID)])

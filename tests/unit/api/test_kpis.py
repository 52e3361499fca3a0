# SPDX-License-Identifier: Apache-2.0
"""The key figures of a site by HTTP, of a year of readings.

What they should be is worked out here once more, from the numbers that the
readings were made of.
"""

from __future__ import annotations

import decimal
import pathlib
import shutil
import tempfile
from fractions import Fraction
from typing import Any

from energy_accounting.ledger import engine
from tests.unit.api import cloud
from tests.unit.facility import year

PATH = f'/v1/sites/{year.NAME}/kpis'
E_IT = Fraction(sum(year.UPS_A) + sum(year.UPS_B), 1000)
DIESEL = sum(year.DIESEL_L) * Fraction(99, 10)
GRID = Fraction(sum(year.GRID), 1000)
PV = Fraction(sum(year.PV), 1000)
E_DC = GRID + DIESEL + PV
REUSED = sum(year.REUSED_KWH)


def text(exact: Fraction) -> str:
    """To six places, half to even, by another way than the service's."""
    with decimal.localcontext(prec=60):
        return str((decimal.Decimal(exact.numerator)
                    / decimal.Decimal(exact.denominator)).quantize(
            decimal.Decimal('1e-6'), decimal.ROUND_HALF_EVEN))


class SiteCase(cloud.ApiCase):
    """The cloud of all tests of the API, and a site with a year."""

    _template: pathlib.Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls._template = pathlib.Path(directory.name) / 'year.db'
        database = engine.Database(f'sqlite:///{cls._template}')
        engine.sync(database)
        cloud.fill(database)
        year.Year(database).write()
        database.close()

    def new_database(self) -> engine.Database:
        """A copy: the year is written once."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = pathlib.Path(directory.name) / 'ledger.db'
        shutil.copy(self._template, path)
        database = engine.Database(f'sqlite:///{path}')
        self.addCleanup(database.close)
        return database

    def fill(self) -> None:
        """It is filled."""

    def setUp(self) -> None:
        super().setUp()
        self.now = year.NOW
        self.year = year.Year(self.database)

    def kpis(self, token: str = 'admin-p1', **query: Any) -> Any:
        return self.get(PATH, token, **query)['kpis']

    def only(self, figure: str, category: int | None = None,
             section: str | None = None, **query: Any) -> Any:
        """The one figure of a name, category and section."""
        (found,) = [one for one in self.kpis(**query)
                    if (one['figure'], one['section']) == (figure, section)
                    and category in (None, one['category'])]
        return found


class YearTest(SiteCase):

    def test_a_figure_is_not_what_the_readings_make_of_it(self) -> None:
        answer = self.get(PATH, 'admin-p1')
        self.assertEqual(
            ('2024-12-31T23:00:00Z', '2025-12-31T23:00:00Z',
             'Europe/Berlin', '0.95'),
            tuple(answer[name] for name in (
                'start', 'end', 'time_zone', 'minimum_coverage')))
        location = sum(
            Fraction(grid * grams, 1000) for grid, grams
            in zip(year.GRID, year.CARBON_G, strict=True))
        fuel = DIESEL * year.DIESEL_G
        market = GRID * (1 - year.SHARE) * year.RESIDUAL_G + fuel
        hall = Fraction(sum(year.HALL_KWH), sum(year.PDU_KWH))
        self.assertEqual([
            ('PUE', None, 1, text(E_DC / E_IT)),
            ('pPUE', 'hall 1', 2, text(hall)),
            ('DCiE', None, 1, text(E_IT / E_DC)),
            ('REF', None, None, text(GRID * year.SHARE / E_DC)),
            ('ERF', None, None, text(REUSED / E_DC)),
            ('ERE', None, 1, text((E_DC - REUSED) / E_IT)),
            ('CER', None, None, text(Fraction(
                sum(year.HEAT_KWH), sum(year.COOLING_KWH)))),
            ('CUE', None, 1, text((location + fuel) / 1000 / E_IT)),
            ('CUE', None, 1, text(market / 1000 / E_IT)),
            ('WUE', None, 1, text(sum(year.POTABLE_M3) * 1000 / E_IT)),
            ('WUE', None, 2, text(sum(year.WATER_M3) * 1000 / E_IT)),
            ('ITEEsv', None, None, None),
            ('ITEUsv', None, None, '37.500000')],
            [(one['name'], one['section'], one['category'], one['value'])
             for one in answer['kpis']])
        self.assertEqual([], [
            one['name'] for one in answer['kpis']
            if one['value'] is not None and one['coverage'] != '1.0000'])

    def test_a_figure_hides_what_it_was_made_of(self) -> None:
        pue = self.only('PUE')
        self.assertEqual(('dc_total', 'kWh', 'it_ups_out', 'kWh'), tuple(
            pue[term][word] for term in ('numerator', 'denominator')
            for word in ('name', 'unit')))
        self.assertEqual(
            (E_DC, E_IT), tuple(Fraction(pue[name]['value'])
                                for name in ('numerator', 'denominator')))
        self.assertEqual(
            [('grid', '0.5S'), ('diesel', None), ('roof', None),
             ('ups-a', '1'), ('ups-b', '1')],
            [(one['name'], one['accuracy_class'])
             for one in pue['meters']])
        self.assertEqual(
            ('ISO/IEC 30134-2:2026', '0.0000', 2_682_000, None, []),
            (pue['standard'], pue['estimated'], pue['reading_seconds'],
             pue['limits'], pue['notes']))
        self.assertEqual(
            'DIN EN 50600-4-2:2019-08',
            self.only('PUE', editions='enefg')['standard'])

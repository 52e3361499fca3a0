# SPDX-License-Identifier: Apache-2.0
"""What is shown of a project's rows."""

from __future__ import annotations

import datetime
import re
from typing import Any
from xml.etree import ElementTree

import testtools

from energy_accounting import units
from energy_accounting.dashboard import periods, reading
from tests.unit.dashboard import panels

# After what configures Django.
from energy_accounting.dashboard import figures  # isort: skip

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=units.UTC)
DAYS = periods.choose({'from': '2026-11-01', 'to': '2026-11-04'}, 'UTC', NOW)
FIRST, SECOND = '2026-11-01T00:00:00Z', '2026-11-02T00:00:00Z'
SPACE = '\N{NO-BREAK SPACE}'


def shown(figure: Any) -> str | None:
    return None if figure is None else str(figure).replace(SPACE, ' ')


def used(total: dict[str, Any] | None = None,
         before: dict[str, Any] | None = None, **changes: Any,
         ) -> reading.Usage:
    return reading.Usage(**{
        'total': panels.usage() if total is None else total,
        'before': before, 'parts': (), 'steps': {}, 'servers': (),
        'servers_before': {}, 'courses': {},
        'complete_until': '2026-11-26T11:45:00Z', **changes})


def server(ident: str, it_kwh: str, **changes: Any) -> dict[str, Any]:
    return panels.usage(it_kwh, **{
        'instance_id': ident, 'facility_kwh': None, 'co2_location_kg': None,
        **changes})


class Cards(testtools.TestCase):

    def cards(self, total: dict[str, Any], before: dict[str, Any] | None,
              ) -> dict[str, dict[str, Any]]:
        return {card['column']: card
                for card in figures.cards(total, before)}

    def test_the_last_period_stands_in_the_place_of_this_one(self) -> None:
        cards = self.cards(
            panels.usage('3.000', facility_kwh='6.000', peak_kw='0.004'),
            panels.usage('2.000', facility_kwh='8.000', peak_kw='0.002'))
        self.assertEqual(
            {'it_kwh': ('3.000 kWh', '2.000 kWh', '+50 %'),
             'facility_kwh': ('6.000 kWh', '8.000 kWh', '−25 %'),
             'co2_location_kg': ('800.0 g', '800.0 g', '±0 %'),
             'co2_market_kg': ('300.0 g', '300.0 g', '±0 %'),
             'peak_kw': ('4.000 W', '2.000 W', '+100 %'),
             'water_l': ('3.500 l', '3.500 l', '±0 %'),
             'renewable_share': ('75.0 %', '75.0 %', None)},
            {column: tuple(map(shown, (card['figure'], card['before'],
                                       card['change'])))
             for column, card in cards.items()})

    def test_nothing_booked_and_not_known_are_one(self) -> None:
        for before, booked in ((None, False), (panels.usage(
                facility_kwh=None, co2_location_kg=None), True)):
            card = self.cards(panels.usage(), before)['facility_kwh']
            self.assertEqual((None, None, booked), (
                card['before'], card['change'], card['booked_before']))

    def test_what_is_not_known_is_left_out_or_0(self) -> None:
        cards = self.cards(panels.usage(
            water_l=None, renewable_share=None, co2_market_kg=None), None)
        self.assertNotIn('water_l', cards)
        self.assertNotIn('renewable_share', cards)
        self.assertIsNone(cards['co2_market_kg']['figure'])


class Charts(testtools.TestCase):

    def test_a_day_has_the_figures_of_another(self) -> None:
        found = figures.energy_chart({
            FIRST: panels.usage('2.000', facility_kwh='2.500'),
            SECOND: panels.usage('0.400', active_kwh='0.1', idle_kwh='0.3',
                                 memory_kwh=None, host_kwh='0',
                                 facility_kwh=None)}, DAYS)
        self.assertEqual('kWh', found['unit'])
        self.assertEqual(['Active', 'Idle', 'Memory', 'Host', 'Building'],
                         found['heads'])
        self.assertEqual(
            [['0.900', '0.600', '0.300', '0.200', '0.500', '2.500'],
             ['0.100', '0.300', None, '0.000', None, '0.400'],
             [None] * 6, [None] * 6],
            [[figure and figure.text for figure in (*row['cells'],
                                                    row['sum'])]
             for row in found['rows']])
        self.assertEqual(['1 Nov 2026', '2 Nov 2026', '3 Nov 2026',
                          '4 Nov 2026'],
                         [row['name'] for row in found['rows']])
        wide, narrow = found['pictures']
        for picture in (wide['svg'], narrow['svg']):
            self.assertEqual(5 + 2, len(re.findall(
                'class="ea-(?:active|idle|memory|host|building)"', picture)))
            ElementTree.fromstring(picture)

    def test_a_building_that_nobody_knows_is_drawn(self) -> None:
        found = figures.energy_chart(
            {FIRST: panels.usage(facility_kwh=None)}, DAYS)
        self.assertNotIn('Building', found['heads'])
        self.assertNotIn('building', {one['kind'] for one
                                      in found['legend']})

    def test_co2_has_the_intensity_of_another_day(self) -> None:
        found = figures.co2_chart({
            FIRST: panels.usage(), SECOND: panels.usage(
                co2_market_kg=None, facility_kwh='1.6')}, DAYS)
        assert found is not None
        self.assertEqual('g', found['unit'])
        self.assertEqual(
            [['800.0', '300.0', '320.0'], ['800.0', None, '500.0'],
             [None] * 3, [None] * 3],
            [[row[name] and row[name].text for name in (
                'location', 'market', 'intensity')]
             for row in found['rows']])
        self.assertIsNone(figures.co2_chart(
            {FIRST: panels.usage(co2_location_kg=None)}, DAYS))


class Servers(testtools.TestCase):

    def test_a_server_has_the_figures_of_another(self) -> None:
        found = figures.servers(used(
            panels.usage('4.000'), panels.usage('2.000'),
            servers=(server('a', '3.000'), server('b', '1.000')),
            servers_before={'a': server('a', '2.000')},
            courses={'a': [{'start': FIRST, 'it_kwh': '1.5'},
                           {'start': SECOND, 'it_kwh': '0.5'}]}),
            DAYS, {'a': 'web'})
        self.assertEqual(
            [('web', True, '3.000', '75.0 %', '+50 %', False),
             ('b', False, '1.000', '25.0 %', None, True)],
            [(row['name'], row['known'], row['energy'].text,
              shown(row['share']), shown(row['change']), row['new'])
             for row in found['rows']])
        self.assertIn('from 0.500', found['rows'][0]['course'])
        self.assertIsNone(found['rows'][1]['course'])
        self.assertIsNone(found['more'])
        self.assertIsNone(found['rows'][0]['building'])

    def test_a_server_is_new_where_nothing_was_before(self) -> None:
        found = figures.servers(used(servers=(server('a', '2.000'),)),
                                DAYS, {})
        self.assertFalse(found['rows'][0]['new'])

    def test_thousands_of_servers_make_one_page(self) -> None:
        rows = tuple(server(str(number), '1') for number in range(1234))
        for count, unread, said in (
                (200, False, None),
                (1234, False, 'The 200 that used most, of 1,234 servers.'),
                (200, True,
                 'The 200 that used most, of more than 200 servers.')):
            found = figures.servers(used(servers=rows[:count], more=unread),
                                    DAYS, {})
            self.assertEqual((200, said),
                             (len(found['rows']), found['more']))


class Idle(testtools.TestCase):

    def idle(self, ident: str, it_kwh: str, **changes: Any,
             ) -> dict[str, Any]:
        return server(ident, it_kwh, **{
            'active_kwh': '0.01', 'idle_kwh': '0.9', **changes})

    def test_a_server_that_works_is_counted(self) -> None:
        found = figures.idle(used(servers=(
            server('busy', '3.000'),
            self.idle('a', '0.500', co2_location_kg='0.2'),
            self.idle('b', '0.200', facility_kwh='0.5'))), {'a': 'web'})
        assert found is not None
        self.assertEqual(
            (2, '1.000 kWh', '25.0 %', '200.0 g', '5 %', 0), (
                found['count'], shown(found['cost']), shown(found['share']),
                shown(found['co2']), shown(found['limit']),
                found['others']))
        self.assertEqual(
            [('a', 'web', True), ('b', 'b', False)],
            [(one['id'], one['name'], one['known'])
             for one in found['servers']])
        self.assertIsNone(figures.idle(used(servers=(
            server('busy', '3.000'),)), {}))

    def test_hundreds_are_named_or_not_those_that_cost_most(self) -> None:
        rows = tuple(self.idle(str(number), '1.000',
                               facility_kwh=f'{number}.5')
                     for number in range(40))
        found = figures.idle(used(servers=rows), {})
        assert found is not None
        self.assertEqual((40, 30), (found['count'], found['others']))
        self.assertEqual([str(number) for number in range(39, 29, -1)],
                         [one['id'] for one in found['servers']])
        self.assertEqual('39.50 kWh', shown(found['servers'][0]['cost']))


class Measured(testtools.TestCase):

    def measured(self, **changes: Any) -> dict[str, Any]:
        return figures.measured(used(panels.usage(**changes)), DAYS)

    def test_a_hole_is_not_told(self) -> None:
        whole = self.measured(coverage='1.000000')
        self.assertFalse(whole['incomplete'])
        holed = self.measured(coverage='0.999999')
        self.assertTrue(holed['incomplete'])
        self.assertEqual(('99.99 %', '<0.01 %'), (
            shown(holed['coverage']), shown(holed['missing'])))
        unknown = self.measured(coverage=None)
        self.assertEqual((False, '–'), (unknown['incomplete'],
                                        unknown['coverage']))

    def test_how_it_was_measured_is_not_said(self) -> None:
        found = self.measured(
            quality={'measured': '0.9', 'backfilled': '0.06',
                     'estimated': '0.04'}, memory_kwh=None)
        self.assertEqual(('6.00 %', '4.00 %', True), (
            shown(found['backfilled']), shown(found['estimated']),
            found['memory_missing']))
        self.assertIn('lower bound', found['boundary'])
        self.assertEqual('1.25', found['pue'].text)
        self.assertIsNone(self.measured()['backfilled'])
        # A word that is new is shown as it is.
        self.assertEqual('grid', self.measured(boundary='grid')['boundary'])

    def test_figures_that_may_grow_are_called_settled(self) -> None:
        for until, unsettled in (('2026-11-04T23:45:00Z', True),
                                 ('2026-11-05T00:00:00Z', False),
                                 (None, True)):
            found = figures.measured(used(complete_until=until), DAYS)
            self.assertEqual(unsettled, found['unsettled'])
            self.assertEqual(until is None, found['complete'] is None)


class Statements(testtools.TestCase):

    def test_money_has_lost_its_cents(self) -> None:
        (row,) = figures.statements([panels.statement()], units.UTC)
        self.assertEqual('1,234.50 EUR', shown(row['cost']))
        self.assertEqual(('October 2026', 'final', 'webshop', '2.000 kWh'), (
            row['period'], row['state'], row['project'],
            shown(row['energy'])))

    def test_nothing_is_known_as_0(self) -> None:
        (row,) = figures.statements([panels.statement(
            cost=None, currency=None, it_kwh=None, facility_kwh=None,
            co2_location_kg=None, project_name=None)], units.UTC,
            {'shop': 'renamed'})
        self.assertEqual([None] * 4, [row[name] for name in (
            'cost', 'energy', 'building', 'co2')])
        self.assertEqual('renamed', row['project'])

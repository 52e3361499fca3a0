# SPDX-License-Identifier: Apache-2.0
"""Factors and contracts through the whole pipeline."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import webob

from energy_accounting import units
from energy_accounting.api import factor_schemas
from tests.unit.api import cloud

FACTORS = '/v1/factors'
CONTRACTS = '/v1/sites/berlin/contracts'
ADMIN, READER = 'admin-p1', 'reader-p1'
DAY = {'start': '2026-10-01T00:00:00Z', 'end': '2026-10-02T00:00:00Z',
       'value': '363', 'source': 'a test'}
GRID = {**DAY, 'zone': 'DE', 'basis': 'lifecycle'}
SHARE = {'instrument': 'ppa', 'start': '2026-01-01T00:00:00+01:00',
         'end': '2027-01-01T00:00:00+01:00', 'share': '0.5',
         'kg_per_kwh': '0.025', 'basis': 'lifecycle', 'evidence': 'a file'}


class FactorsCase(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = datetime.datetime(2026, 11, 1, tzinfo=units.UTC)

    def post(self, body: Any, path: str = FACTORS, status: int = 201) -> Any:
        answer: webob.Response = self.ask(path, ADMIN, method='POST',
                                          body=body)
        self.assertEqual(status, answer.status_int, answer.text)
        if status >= 400:
            return answer.json['errors'][0]['detail']
        return answer.json

    def record(self, *given: Any, status: int = 201, **more: Any) -> Any:
        return self.post({'factors': list(given), **more}, status=status)

    def values(self, **query: Any) -> list[str]:
        return [one['value'] for one in self.get(FACTORS, ADMIN,
                                                 **query)['factors']]


class RangeTest(FactorsCase):

    def test_a_list_of_a_turned_range_is_empty(self) -> None:
        for path in (FACTORS, CONTRACTS, '/v1/audit', '/v1/quarantine',
                     '/v1/meters/grid/readings'):
            for end in ('2026-10-01T00:00:00Z', '2026-10-02T00:00:00Z'):
                answer = self.ask(path, ADMIN, start='2026-10-02T00:00:00Z',
                                  end=end)
                self.assertEqual(400, answer.status_int, answer.text)
                self.assertEqual(
                    f'end: end ({end}) is not after start '
                    '(2026-10-02T00:00:00Z); give an end after the start',
                    answer.json['errors'][0]['detail'])


class RecordTest(FactorsCase):

    def test_a_factor_is_answered_otherwise(self) -> None:
        self.assertEqual({'factors': {'stored': 2, 'superseded': 0,
                                      'unchanged': 0}}, self.record(
            {**GRID, 'value': '0.10', 'revision': '7'},
            {**DAY, 'kind': 'pue', 'site': 'berlin', 'value': '1.3'}))
        grid, pue = self.get(FACTORS, READER)['factors']
        self.assertEqual({
            'id': grid['id'], 'kind': 'carbon', 'zone': 'DE', 'site': None,
            'carrier': 'electricity', 'basis': 'lifecycle',
            'method': 'location', 'signal': 'average',
            'start': '2026-10-01T00:00:00Z', 'end': '2026-10-02T00:00:00Z',
            'value': '0.10', 'unit': 'g/kWh', 'quality': 'actual',
            'provider': 'operator', 'source': 'a test', 'revision': '7',
            'retrieved_at': '2026-11-01T00:00:00Z',
            'recorded_at': '2026-11-01T00:00:00Z', 'superseded_at': None},
            grid)
        self.assertEqual(('berlin', '1', None), (pue['site'], pue['unit'],
                                                 pue['basis']))

    def test_the_electricity_of_a_generator_cannot_have_a_factor(
            self) -> None:
        self.record({**DAY, 'site': 'berlin', 'basis': 'lifecycle',
                     'carrier': 'generator', 'value': '900'})
        self.assertEqual(['900'], self.values(carrier='generator'))

    def test_a_site_that_is_none_has_no_factors(self) -> None:
        self.assertEqual([], self.values(site='berlin'))
        for name in ('nosite', 'n' * 255):
            self.assertIn('there is no site', self.refused(
                404, FACTORS, READER, site=name))

    def test_part_of_a_batch_is_recorded(self) -> None:
        self.record(GRID)
        later = {'start': '2026-10-02T00:00:00Z',
                 'end': '2026-10-03T00:00:00Z'}
        for words, status, wrong in (
                ('factors.1, basis', 400, {'basis': None}),
                ('factors.1, end', 400, {'end': later['start']}),
                ('factors.1, start: it overlaps another row', 400, {}),
                ("factors.1, zone: 'de' cannot be a grid zone", 400,
                 {'zone': 'de'}),
                ('factors.1, start: .* is not an ISO 8601 time', 400,
                 {'start': '2026-10-02'}),
                ("factors.1, site: there is no site 'x'", 400,
                 {'zone': None, 'site': 'x'}),
                ('factors.1, start: 363 g/kWh of operator is recorded', 409,
                 {'start': '2026-10-01T12:00:00Z',
                  'end': '2026-10-01T13:00:00Z'}),
                ('factors.1.value: .*give: from 0 on, a decimal', 400,
                 {'value': '-1'}),
                ('factors.1.value', 400, {'value': 363}),
                ('factors.1.carrier: .*one of electricity', 400,
                 {'carrier': 'coal'}),
                ('factors.1.price: there is no such field', 400,
                 {'price': 1})):
            second = {name: value for name, value in {
                **GRID, **later, **wrong}.items() if value is not None}
            with self.subTest(words):
                self.assertRegex(self.record({**GRID, **later}, second,
                                             status=status), words)
                self.assertEqual(['363'], self.values(superseded='true'))

    def test_nothing_or_too_much_is_a_batch(self) -> None:
        for batch in ([], [GRID] * (factor_schemas.MAX_BATCH + 1)):
            self.assertIn('from 1 to', self.record(*batch, status=400))

    def test_a_large_batch_is_too_large_for_a_request(self) -> None:
        first = datetime.datetime(2026, 1, 1, tzinfo=units.UTC)
        quarters = [units.iso(first + datetime.timedelta(minutes=15 * place))
                    for place in range(3001)]
        self.assertEqual(3000, self.record(*(
            {**GRID, 'start': start, 'end': end}
            for start, end in itertools.pairwise(quarters)))['factors'][
                'stored'])

    def test_a_replacement_is_refused(self) -> None:
        self.record(GRID)
        halves = [{**GRID, 'end': '2026-10-01T12:00:00Z', 'value': '1'},
                  {**GRID, 'start': '2026-10-01T12:00:00Z', 'value': '2'}]
        self.assertIn('replace it', self.record(*halves, status=409))
        self.assertEqual(
            {'stored': 2, 'superseded': 1, 'unchanged': 0},
            self.record(*halves, replace=True)['factors'])
        self.assertEqual(['1', '2'], self.values())

    def test_who_changed_a_factor_is_not_kept(self) -> None:
        self.record(GRID)
        self.now += datetime.timedelta(hours=1)
        self.record({**GRID, 'value': '360'})
        newest, _ = self.get('/v1/audit', ADMIN, kind='factor')['audit']
        self.assertEqual(('user of admin-p1', '363', '360'), (
            newest['actor'], newest['was']['highest'],
            newest['became']['highest']))


    def test_a_mistaken_unit_is_recorded_by_hand(self) -> None:
        self.assertRegex(
            self.record({**GRID, 'value': '3000.1'}, status=400),
            r'factors.0, value: 3000.1 g/kWh is more than any grid has '
            r'\(3000\): give g/kWh \(kg/kWh times 1000\), or, if it is true, '
            'record it with energy-accounting-manage factor import$')
        self.record({**GRID, 'value': '3000'})

    def test_a_factor_that_was_wrong_counts_for_ever(self) -> None:
        self.record(GRID, {**DAY, 'kind': 'pue', 'site': 'berlin',
                           'value': '1.3'})
        wrong = self.get(FACTORS, ADMIN)['factors'][1]
        self.now += datetime.timedelta(hours=1)
        one = f'{FACTORS}/{wrong["id"]}'
        self.assertEqual(204, self.ask(one, ADMIN,
                                       method='DELETE').status_int)
        self.assertEqual(['363'], self.values())
        self.assertEqual(['363', '1.3'], self.values(
            as_of='2026-11-01T00:59:59Z'))
        (kept,) = self.get(FACTORS, ADMIN, superseded='true',
                           kind='pue')['factors']
        self.assertEqual('2026-11-01T01:00:00Z', kept['superseded_at'])
        newest = self.get('/v1/audit', ADMIN, kind='factor')['audit'][0]
        self.assertEqual(
            ('user of admin-p1', '1.3', None), (
                newest['actor'], newest['was']['highest'],
                newest['became']))
        for path in (one, f'{FACTORS}/99', f'{FACTORS}/x'):
            self.refused(404, path, ADMIN, method='DELETE')


class ListTest(FactorsCase):

    def test_yesterdays_answer_is_lost(self) -> None:
        self.record(GRID)
        self.now += datetime.timedelta(hours=1)
        self.record({**GRID, 'value': '360'})
        self.now += datetime.timedelta(hours=1)
        self.assertEqual(['360'], self.values())
        self.assertEqual(['363'], self.values(as_of='2026-11-01T00:59:59Z'))
        self.assertEqual(['360'], self.values(as_of='2026-11-01T01:00:00Z'))
        self.assertEqual([], self.values(as_of='2026-10-31T00:00:00Z'))
        self.assertEqual(['363', '360'], self.values(superseded='true'))
        self.assertIn('as_of: ', self.refused(
            400, FACTORS, ADMIN, as_of='2026-11-01T03:00:00Z'))

    def test_a_filter_finds_others(self) -> None:
        self.record(GRID, {**GRID, 'zone': 'FR', 'value': '50'},
                    {**GRID, 'quality': 'forecast', 'value': '3'},
                    {**GRID, 'method': 'market', 'value': '700'},
                    {**DAY, 'kind': 'pue', 'site': 'berlin', 'value': '2'})
        for query, expected in (
                ({'zone': 'FR'}, ['50']), ({'site': 'berlin'}, ['2']),
                ({'kind': 'pue'}, ['2']), ({'quality': 'forecast'}, ['3']),
                ({'basis': 'direct'}, []),
                ({'provider': 'operator', 'zone': 'DE'},
                 ['363', '3', '700']),
                ({'end': '2026-10-01T00:00:00Z'}, []),
                ({'start': '2026-10-01T23:59:00Z', 'zone': 'FR'}, ['50'])):
            self.assertEqual(expected, self.values(**query), query)
        # Not an argument: it is one of the request.
        self.assertEqual(['700'], [one['value'] for one in self.get(
            f'{FACTORS}?method=market', ADMIN)['factors']])
        for query in ({'zone': ''}, {'kind': 'price'}, {'instrument': 'go'},
                      {'start': 'now'}):
            self.refused(400, FACTORS, ADMIN, **query)

    def test_a_page_repeats_or_leaves_out(self) -> None:
        self.record(*({**GRID, 'zone': zone} for zone in (
            'AT', 'CH', 'DE', 'FR', 'PL')))
        found, query = [], {'limit': 2, 'with_count': 'true'}
        while True:
            page = self.get(FACTORS, READER, **query)
            self.assertEqual(5, page['count'])
            found += [one['zone'] for one in page['factors']]
            if not page['links']:
                break
            query['marker'] = page['links'][0]['href'].rpartition(
                'marker=')[2]
        self.assertEqual(['AT', 'CH', 'DE', 'FR', 'PL'], found)


class ContractsTest(FactorsCase):

    def test_a_contract_cannot_be_led_through_its_life(self) -> None:
        made = self.post({**SHARE, 'renewable': True, 'retired': True},
                         CONTRACTS)['contract']
        self.assertEqual(
            ('berlin', 'ppa', '2025-12-31T23:00:00Z',
             '2026-12-31T23:00:00Z', '0.5', '0.025', True, None),
            tuple(made[name] for name in (
                'site', 'instrument', 'start', 'end', 'share', 'kg_per_kwh',
                'retired', 'superseded_at')))
        self.assertEqual([made], self.get(CONTRACTS, ADMIN)['contracts'])
        self.assertRegex(self.post({**SHARE, 'share': '0.6'}, CONTRACTS, 409),
                         'share: .* would be 1.1, .*: give a smaller share')
        self.now += datetime.timedelta(hours=1)
        gone = self.ask(f'{CONTRACTS}/{made["id"]}', ADMIN, method='DELETE')
        self.assertEqual(204, gone.status_int)
        self.refused(404, f'{CONTRACTS}/{made["id"]}', ADMIN,
                     method='DELETE')
        self.assertEqual([], self.get(CONTRACTS, ADMIN)['contracts'])
        self.assertEqual([made['id']], [one['id'] for one in self.get(
            CONTRACTS, ADMIN, as_of='2026-11-01T00:30:00Z')['contracts']])
        self.assertEqual(['contract'] * 2, [one['kind'] for one in self.get(
            '/v1/audit', ADMIN, kind='contract')['audit']])

    def test_a_bad_contract_is_recorded(self) -> None:
        for words, wrong in (
                ('share', {'share': '1.5'}), ('share', {'share': '0'}),
                ('share', {'share': 0.5}), ('kg_per_kwh', {'kg_per_kwh':
                                                           '363'}),
                ('start: ', {'start': '2026-01-01'}),
                ('retired', {'retired': True}), ('instrument',
                                                 {'instrument': 'offset'}),
                ('evidence', {'evidence': ' '})):
            self.assertIn(words, self.post({**SHARE, **wrong}, CONTRACTS,
                                           400))
        self.assertEqual([], self.get(CONTRACTS, ADMIN)['contracts'])

    def test_another_sites_contract_is_shown_or_withdrawn(self) -> None:
        made = self.post(SHARE, CONTRACTS)['contract']
        self.assertEqual([], self.get('/v1/sites/default/contracts',
                                      ADMIN)['contracts'])
        self.refused(404, f'/v1/sites/default/contracts/{made["id"]}',
                     ADMIN, method='DELETE')
        self.refused(404, f'{CONTRACTS}/x', ADMIN, method='DELETE')
        for method in ('GET', 'POST'):
            self.refused(404, '/v1/sites/x/contracts', ADMIN, method=method,
                         body=SHARE if method == 'POST' else None)

# SPDX-License-Identifier: Apache-2.0
"""Sites, meters and readings by HTTP."""

from __future__ import annotations

import json
from typing import Any

import webob

from energy_accounting.facility import batches
from tests.unit.api import cloud

COUNTER = {'medium': 'electricity', 'role': 'dc_total',
           'kind': 'cumulative', 'unit': 'kWh'}


class MetersTest(cloud.ApiCase):

    auth = False

    def post(self, path: str, status: int = 201, **body: Any) -> Any:
        answer = self.ask(path, method='POST', body=body)
        self.assertEqual(status, answer.status_int, answer.text)
        return (answer.json if status == 201
                else answer.json['errors'][0]['detail'])

    def patch(self, path: str, status: int = 200, **body: Any) -> Any:
        answer = self.ask(path, method='PATCH', body=body)
        self.assertEqual(status, answer.status_int, answer.text)
        return (answer.json if status == 200
                else answer.json['errors'][0]['detail'])

    def make(self, name: str = 'grid', **said: Any) -> Any:
        return self.post('/v1/meters', name=name, site='berlin',
                         **{**COUNTER, **said})['meter']

    def read(self, *values: str | None, name: str = 'grid',
             status: int = 201, **more: Any) -> Any:
        return self.post(f'/v1/meters/{name}/readings', status, readings=[
            {'at': f'2026-11-{day:02}T00:00:00Z', 'value': value}
            for day, value in enumerate(values, 1)], **more)

    def test_a_site_is_not_what_was_said_of_it(self) -> None:
        made = self.post('/v1/sites', name='bonn', time_zone='Europe/Berlin',
                         grid_zone='DE')['site']
        self.assertEqual({'name': 'bonn', 'region': None, 'grid_zone': 'DE',
                          'time_zone': 'Europe/Berlin',
                          'factor_basis': None}, made)
        changed = self.patch('/v1/sites/bonn', grid_zone=None, region='west',
                             factor_basis='direct')
        self.assertEqual({**made, 'grid_zone': None, 'region': 'west',
                          'factor_basis': 'direct'}, changed['site'])
        self.assertEqual(changed, self.get('/v1/sites/bonn'))
        page = self.get('/v1/sites', limit='2', with_count='true')
        self.assertEqual((['berlin', 'bonn'], 3), (
            [one['name'] for one in page['sites']], page['count']))
        self.assertIn('limit=2', page['links'][0]['href'])
        self.assertEqual(['default'], [one['name'] for one in self.get(
            page['links'][0]['href'].replace('http://localhost', ''))
            ['sites']])
        self.assertEqual('bonn', self.get('/v1/audit', kind='site')['audit']
                         [0]['subject'])

    def test_a_site_that_makes_no_sense_is_made(self) -> None:
        self.assertIn('time_zone', self.post(
            '/v1/sites', 400, name='x', time_zone='Mars'))
        self.assertIn('grid_zone', self.post(
            '/v1/sites', 400, name='x', grid_zone='de'))
        self.assertIn('factor_basis', self.post(
            '/v1/sites', 400, name='x', factor_basis='net'))
        self.assertIn('there is a site', self.post(
            '/v1/sites', 409, name='berlin'))
        self.assertIn('region', self.patch(
            '/v1/sites/berlin', 409, region='elsewhere'))
        for name in ('..', 'a/b'):
            self.assertIn('name', self.post('/v1/sites', 400, name=name))
        self.patch('/v1/sites/nowhere', 404, grid_zone='DE')

    def test_a_meter_is_not_what_was_said_of_it(self) -> None:
        made = self.make(rollover='1000000', max_rate='500',
                         installed_at='2026-01-01T00:00:00+01:00',
                         section='hall 1')
        self.assertEqual(
            ('2025-12-31T23:00:00Z', '500', None, [], []),
            (made['installed_at'], made['max_rate'], made['last_reading'],
             made['questions'], made['terms']))
        self.assertEqual(made, self.get('/v1/meters/grid')['meter'])
        self.assertEqual(made, self.get(f'/v1/meters/{made["id"]}')['meter'])
        self.make('sub', role='it_ups_out', parent='grid')
        total = self.make('sum', kind='virtual', terms=[
            {'meter': 'grid', 'sign': 1}, {'meter': 'sub', 'sign': -1}])
        self.assertEqual([{'meter': 'grid', 'sign': 1},
                          {'meter': 'sub', 'sign': -1}], total['terms'])
        changed = self.patch('/v1/meters/sub', parent=None, serial='7',
                             removed_at='2026-11-05T00:00:00Z')['meter']
        self.assertEqual((None, '7', '2026-11-05T00:00:00Z'), (
            changed['parent'], changed['serial'], changed['removed_at']))

    def test_meters_are_listed_that_nobody_asked_for(self) -> None:
        for name, role in (('a', 'dc_total'), ('b', 'it_ups_out'),
                           ('c', 'dc_total')):
            self.make(name, role=role)
        for query, names in (({}, 'abc'), ({'role': 'dc_total'}, 'ac'),
                             ({'site': 'default'}, ''),
                             ({'medium': 'water'}, '')):
            found = self.get('/v1/meters', with_count='true', **query)
            self.assertEqual((names, len(names)), (
                ''.join(one['name'] for one in found['meters']),
                found['count']))
        page = self.get('/v1/meters', limit='1', role='dc_total')
        self.assertIn('role=dc_total', page['links'][0]['href'])

    def test_a_meter_that_makes_no_sense_is_made(self) -> None:
        for field, said in (
                ('name', {'name': '123'}), ('unit', {'unit': 'furlong'}),
                ('unit', {'unit': 'm3'}), ('rollover', {'rollover': '-5'}),
                ('rollover', {'rollover': 1000}),
                ("rollover: '0' kWh is nothing: .*; give what",
                 {'rollover': '0'}),
                ("max_rate: '0.0' kWh is nothing: .*; give what",
                 {'max_rate': '0.0'}),
                # Less than the microjoules that values count in.
                ('max_rate: .*nothing', {'max_rate': f'0.{"0" * 14}1'}),
                ('installed_at', {'installed_at': '2026-01-01'}),
                ('terms.1.meter', {'kind': 'virtual', 'terms': [
                    {'meter': 'a', 'sign': 1}, {'meter': 'a', 'sign': 1}]}),
                ('terms.0.sign', {'terms': [{'meter': 'a', 'sign': 2}]}),
                ('role', {'role': 'coffee'}), ('site', {'site': 7})):
            self.assertRegex(self.post('/v1/meters', 400, **{
                'name': 'x', 'site': 'berlin', **COUNTER, **said}), field)
        self.make()
        self.assertIn('max_rate', self.patch('/v1/meters/grid', 400,
                                             max_rate='0'))
        self.post('/v1/meters', 404, name='x', site='nowhere', **COUNTER)

    def test_a_number_is_taken_for_a_value(self) -> None:
        self.make()
        for value in (12.5, 12, True, [], '12,5', '-1', '1e3', ''):
            answer = self.ask('/v1/meters/grid/readings', method='POST', body={
                'readings': [{'at': '2026-11-01T00:00:00Z', 'value': '1'},
                             {'at': '2026-11-02T00:00:00Z',
                              'value': value}]})
            self.assertEqual(400, answer.status_int)
            detail = answer.json['errors'][0]['detail']
            self.assertIn('readings.1.value', detail)
            self.assertIn('a decimal in a string', detail)
        self.assertEqual([], self.get('/v1/meters/grid/readings')['readings'])

    def test_a_time_without_a_zone_is_guessed(self) -> None:
        self.make()
        for at, words in (('2026-11-01T00:00:00', 'has no zone'),
                          ('2026-11-24T00:00:00Z', 'in the future'),
                          ('yesterday', 'ISO 8601')):
            detail = self.post('/v1/meters/grid/readings', 400, readings=[
                {'at': at, 'value': '1'}])
            self.assertIn(words, detail)
            self.assertIn('readings.0.at', detail)

    def test_a_batch_may_not_be_sent_twice(self) -> None:
        self.make()
        for outcome in ({'added': 3, 'corrected': 0, 'duplicates': 0},
                        {'added': 0, 'corrected': 0, 'duplicates': 3}):
            self.assertEqual({'readings': outcome},
                             self.read('1', '2', '3'))
        self.assertIn('readings.2', self.read('1', '2', '4', status=409))
        self.assertEqual(
            {'added': 1, 'corrected': 1, 'duplicates': 2},
            self.read('1', '2', '4', '5', correct=True)['readings'])

    def test_a_dry_run_keeps_something(self) -> None:
        self.make()
        self.assertEqual(2, self.read('1', '2', dry_run=True)['readings']
                         ['added'])
        self.assertEqual([], self.get('/v1/meters/grid/readings')['readings'])
        self.assertEqual(['meter'], [one['kind'] for one in self.get(
            '/v1/audit', subject='grid')['audit']])

    def test_what_was_corrected_is_gone(self) -> None:
        self.make()
        self.read('1', '2', '3', source='csv')
        self.now = self.now.replace(hour=6)
        self.read('1', None, '4', correct=True)

        def values(**query: str) -> list[str]:
            return [one['value'] for one in self.get(
                '/v1/meters/grid/readings', **query)['readings']]

        self.assertEqual(['1', '4'], values())
        self.assertEqual(['1', '2', '3'], values(
            as_of='2026-11-23T05:30:00Z'))
        self.assertEqual(['1', '2', '3', '4'], values(superseded='true'))
        self.assertEqual(['4'], values(start='2026-11-02T00:00:00Z'))
        self.assertEqual(['1'], values(end='2026-11-03T00:00:00Z'))
        self.assertIn('as_of', self.refused(
            400, '/v1/meters/grid/readings', as_of='2027-01-01T00:00:00Z'))
        page = self.get('/v1/meters/grid/readings', superseded='true',
                        limit='3', with_count='true')
        self.assertEqual(4, page['count'])
        self.assertEqual('csv', page['readings'][0]['source'])
        self.assertEqual('2026-11-23T06:07:00Z',
                         page['readings'][1]['superseded_at'])
        rest = self.get(page['links'][0]['href'].replace(
            'http://localhost', ''))
        self.assertEqual(['4'], [one['value'] for one in rest['readings']])
        self.assertIn('marker', self.refused(
            400, '/v1/meters/grid/readings', marker='AAAA'))

    def test_nobody_is_asked_about_a_fall(self) -> None:
        self.make()
        self.read('100', '150', '20')
        shown = self.get('/v1/meters/grid')['meter']
        self.assertEqual([{
            'kind': 'fall', 'was': '150', 'became': '20',
            'start': '2026-11-02T00:00:00Z',
            'end': '2026-11-03T00:00:00Z'}], shown['questions'])
        self.assertEqual('20', shown['last_reading']['value'])
        self.assertEqual([], self.get(
            '/v1/meters/grid', start='2026-11-04T00:00:00Z')
            ['meter']['questions'])
        event = self.post('/v1/meters/grid/events', kind='exchange',
                          at='2026-11-02T12:00:00Z', end_value='160',
                          start_value='3', note='by M. Weber')['event']
        self.assertEqual([], self.get('/v1/meters/grid')['meter']
                         ['questions'])
        self.assertEqual([event], self.get('/v1/meters/grid/events')
                         ['events'])
        self.assertIn('correction', self.post(
            '/v1/meters/grid/events', 409, kind='reset',
            at='2026-11-02T12:00:00Z'))
        path = f'/v1/meters/grid/events/{event["id"]}'
        self.assertEqual(204, self.ask(path, method='DELETE').status_int)
        self.assertEqual(404, self.ask(path, method='DELETE').status_int)
        self.assertEqual([], self.get('/v1/meters/grid/events')['events'])
        (kept,) = self.get('/v1/meters/grid/events',
                           superseded='true')['events']
        self.assertIsNotNone(kept['superseded_at'])
        self.assertEqual(['event', 'event', 'reading', 'meter'], [
            one['kind'] for one in self.get('/v1/audit', subject='grid')
            ['audit']])

    def test_a_whole_batch_is_too_large_to_send(self) -> None:
        self.make()
        request = webob.Request.blank('/v1/meters/grid/readings',
                                      method='POST')
        request.content_type = 'application/json'
        batch = [
            {'at': f'2026-{day // 28 % 11 + 1:02}-{day % 28 + 1:02}T'
                   f'{minute // 60:02}:{minute % 60:02}:00+00:00',
             'value': f'{number}.123456', 'quality': 'estimated'}
            for number in range(batches.MAX_BATCH)
            for day, minute in (divmod(number, 1440),)]
        # A body above 16 MiB is refused, see below.
        self.assertLess(len(json.dumps({'readings': batch})), 1 << 24)
        request.body = json.dumps({'readings': batch[:2000]}).encode()
        answer = request.get_response(self.app)
        self.assertEqual(201, answer.status_int, answer.text[:500])
        self.assertEqual(2000, answer.json['readings']['added'])

    def test_the_document_knows_another_limit(self) -> None:
        body: Any = cloud.schemas.ENDPOINTS[
            'POST', '/v1/meters/{name}/readings'].body
        self.assertEqual(batches.MAX_BATCH,
                         body['properties']['readings']['maxItems'])

    def test_a_large_body_is_taken_elsewhere(self) -> None:
        for path in ('/v1/meters', '/v1/meters/x/events', '/v1/hosts'):
            answer = self.ask(path, method='POST', body={'a': 'x' * 200_000})
            self.assertEqual(413, answer.status_int, path)
        self.assertEqual(413, self.ask(
            '/v1/meters/grid/readings', method='POST',
            body={'a': 'x' * (1 << 24)}).status_int)

# SPDX-License-Identifier: Apache-2.0
"""``/v1/statements`` and ``/v1/tariffs`` through the whole pipeline."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import sys
from typing import Any
from unittest import mock

import sqlalchemy as sa

from energy_accounting import units
from energy_accounting.ledger import models
from tests.unit.api import cloud
from tests.unit.statements import made

STATEMENTS = '/v1/statements'
TARIFFS = '/v1/tariffs'
TARIFF = {
    'name': 'power', 'start': '2026-01-01T00:00:00Z', 'currency': 'EUR',
    'quantity': 'it', 'price_per_kwh': '0.25',
    'legal_basis': 'contract 7'}


class StatementsCase(cloud.ApiCase):

    def setUp(self) -> None:
        super().setUp()
        self.now = datetime.datetime(2026, 12, 2, tzinfo=units.UTC)
        self.reported(self.now)

    def reported(self, end: datetime.datetime) -> None:
        with self.database.writer() as connection:
            connection.execute(sa.update(models.hosts).values(
                last_window_end_ns=units.wall_ns(end)))

    def close(self, *projects: str, token: str = 'admin-p1',
              **body: Any) -> list[Any]:
        whom = ({'projects': list(projects)} if projects
                else {'all_projects': True})
        answer = self.ask(STATEMENTS, token, method='POST', body={
            'period': '2026-11', **whom, **body})
        self.assertEqual(200, answer.status_int, answer.text)
        found: list[Any] = answer.json['statements']
        return found

    def wrong(self, path: str, body: Any, token: str = 'admin-p1',
              status: int = 400) -> str:
        answer = self.ask(path, token, method='POST', body=body)
        self.assertEqual(status, answer.status_int, answer.text)
        return str(answer.json['errors'][0]['detail'])


class CloseTest(StatementsCase):

    def test_a_second_zone_makes_a_second_statement_unasked(self) -> None:
        self.close('p1')
        body = {'period': '2026-11', 'projects': ['p1'],
                'timezone': 'Europe/Berlin'}
        self.assertIn('timezone: 2026-11 is closed in UTC',
                      self.wrong(STATEMENTS, body, status=409))
        (one,) = self.close('p1', timezone='Europe/Berlin',
                            another_timezone=True)
        self.assertEqual(('Europe/Berlin', 'created'), (
            one['timezone'], one['outcome']))

    def test_closing_all_leaves_out_what_the_usage_has(self) -> None:
        closed = self.close()
        usage = self.get('/v1/usage', 'admin-p1', all_projects='true',
                         start='2026-11-01T00:00:00Z',
                         end='2026-12-01T00:00:00Z')['usage']
        self.assertEqual({row['project_id'] for row in usage},
                         {one['project_id'] for one in closed})
        for one in closed:
            (row,) = [row for row in usage
                      if row['project_id'] == one['project_id']]
            for name in ('start', 'end', 'active_kwh', 'idle_kwh',
                         'memory_kwh', 'host_kwh', 'platform_kwh', 'it_kwh',
                         'peak_kw', 'coverage', 'boundary', 'quality',
                         'policy'):
                self.assertEqual(row[name], one[name], name)

    def test_a_line_is_not_the_usage_of_its_instance_and_day(self) -> None:
        (one,) = self.close('p1')
        lines = self.get(f'{STATEMENTS}/{one["id"]}/lines',
                         'reader-p1')['lines']
        usage = self.get('/v1/usage', 'reader-p1', resolution='day',
                         group_by='instance,flavor,site,region',
                         start='2026-11-01T00:00:00Z',
                         end='2026-12-01T00:00:00Z')['usage']
        self.assertEqual(len(usage), len(lines))
        for row, line in zip(usage, lines, strict=True):
            self.assertEqual(row, {name: line[name] for name in row})

    def test_closing_again_says_that_something_was_made(self) -> None:
        first, again = self.close('p1'), self.close('p1')
        self.assertEqual(('created', 'unchanged'), (
            first[0].pop('outcome'), again[0].pop('outcome')))
        self.assertEqual(first, again)
        self.assertEqual((1, 'final'), (first[0]['revision'],
                                        first[0]['state']))

    def test_a_month_that_some_host_has_not_reported_is_final(self) -> None:
        self.reported(datetime.datetime(2026, 11, 30, 23, tzinfo=units.UTC))
        (one,) = self.close('p1')
        self.assertEqual((0, 'provisional'), (one['revision'],
                                              one['state']))

    def test_what_cannot_be_closed_is_said_with_a_remedy(self) -> None:
        for body, words in (
                ({'period': '2026-13', 'projects': ['p1']}, '2026-10'),
                ({'period': '2027-01', 'projects': ['p1']}, 'not begun'),
                ({'period': '2026-11'}, 'all_projects'),
                ({'period': '2026-11', 'projects': ['p1'],
                  'all_projects': True}, 'all_projects'),
                ({'period': '2026-11', 'projects': []}, 'from 1 to'),
                ({'period': '2026-11', 'projects': ['p1'],
                  'timezone': 'Mars/Base'}, 'Europe/Berlin')):
            self.assertIn(words, self.wrong(STATEMENTS, body))


class ReadTest(StatementsCase):

    def setUp(self) -> None:
        super().setUp()
        self.closed = {one['project_id']: one for one in self.close()}

    def test_a_tenant_sees_the_statements_of_others(self) -> None:
        (mine,) = self.get(STATEMENTS, 'reader-p1')['statements']
        self.assertEqual('p1', mine['project_id'])
        for project in ('p2', None):
            path = f'{STATEMENTS}/{self.closed[project]["id"]}'
            for below in ('', '/lines', '/document', '/differences'):
                self.refused(404, path + below, 'reader-p1')
        self.refused(403, STATEMENTS, 'reader-p1', project='p2')
        self.refused(403, STATEMENTS, 'reader-p1', all_projects='true')
        self.refused(403, STATEMENTS, 'reader-p1', domain='d1')

    def test_a_foreign_statement_is_told_from_one_there_is_not(
            self) -> None:
        foreign = self.closed['p2']['id']
        nothing = '0' * 8 + foreign[8:]
        self.assertEqual(*(
            self.refused(404, f'{STATEMENTS}/{number}', 'reader-p1')
            .replace(number, '') for number in (foreign, nothing)))

    def test_billing_sees_less_than_all(self) -> None:
        found = self.get(STATEMENTS, 'billing-p2', all_projects='true',
                         with_count='true')
        self.assertEqual(set(self.closed), {
            one['project_id'] for one in found['statements']})
        self.assertEqual(5, found['count'])
        self.assertEqual({'p1', 'p2'}, {
            one['project_id'] for one in self.get(
                STATEMENTS, 'billing-p2', domain='d1')['statements']})

    def test_pages_of_lines_lose_one(self) -> None:
        path = f'{STATEMENTS}/{self.closed["p1"]["id"]}/lines'
        whole = self.get(path, 'reader-p1', with_count='true')
        self.assertEqual((len(whole['lines']), []),
                         (whole['count'], whole['links']))
        found, query = [], {'limit': '1'}
        while query:
            page = self.get(path, 'reader-p1', **query)
            found += page['lines']
            query = {}
            for link in page['links']:
                marker = link['href'].rpartition('marker=')[2]
                query = {'limit': '1', 'marker': marker}
        self.assertEqual(whole['lines'], found)

    def test_the_json_document_is_not_what_the_digest_is_of(self) -> None:
        one = self.closed['p1']
        answer = self.ask(f'{STATEMENTS}/{one["id"]}/document',
                          'reader-p1')
        self.assertEqual(one['digest'], hashlib.sha256(
            answer.body).hexdigest())
        self.assertEqual(str(len(answer.body)),
                         answer.headers['Content-Length'])
        self.assertEqual(f'"{one["digest"]}"', answer.headers['ETag'])
        self.assertIn('energy-p1-2026-11-UTC-r1.json"',
                      answer.headers['Content-Disposition'])

    def test_one_that_cannot_be_closed_hides_that_others_are(self) -> None:
        table = models.project_buckets
        with self.database.writer() as connection:
            connection.execute(sa.update(table).where(
                table.c.project_ref == connection.scalar(
                    sa.select(models.projects.c.id).where(
                        models.projects.c.project_id == 'p1'))
            ).values(active_uj=table.c.active_uj + 1))
        answer = self.ask(STATEMENTS, 'admin-p1', method='POST', body={
            'period': '2026-11', 'projects': ['p1', 'p2']})
        self.assertEqual(409, answer.status_int)
        self.assertIn('1 of 2 were not closed, the others are: p1: ',
                      answer.text)

    def test_a_pdf_that_cannot_be_made_is_the_services_secret(self) -> None:
        path = f'{STATEMENTS}/{self.closed["p1"]["id"]}/document'
        with mock.patch.dict(sys.modules, weasyprint=None):
            answer = self.ask(path, 'reader-p1', format='pdf')
        self.assertEqual(400, answer.status_int)
        self.assertIn('makes no PDF; ask for html', answer.text)

    def test_csv_is_not_the_lines(self) -> None:
        path = f'{STATEMENTS}/{self.closed["p1"]["id"]}'
        answer = self.ask(f'{path}/document', 'reader-p1', format='csv')
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        lines = self.get(f'{path}/lines', 'reader-p1')['lines']
        self.assertEqual(len(lines), len(rows))
        for row, line in zip(rows, lines, strict=True):
            for name, value in line.items():
                if name != 'quality':
                    self.assertEqual(value or '', row[name], name)
        self.assertNotIn('cost', rows[0])

    def test_a_late_window_is_no_revision_with_its_difference(
            self) -> None:
        made.late(self.database, 'web', 'p1', cloud.FIRST, 8)
        (second,) = self.close('p1')
        self.assertEqual(('created', 2), (second['outcome'],
                                          second['revision']))
        path = f'{STATEMENTS}/{second["id"]}'
        found = self.get(f'{path}/differences', 'reader-p1')
        self.assertEqual(units.kwh_text(8), found['difference']['it_kwh'])
        self.assertEqual([], found['difference']['parts'])
        (line,) = found['lines']
        self.assertEqual(('web', units.kwh_text(8)), (
            line['instance_id'], line['it_kwh']))
        shown = self.get(path, 'reader-p1', revision='1')['statement']
        self.assertEqual(self.closed['p1']['digest'], shown['digest'])
        self.assertEqual([1, 2], [
            one['revision'] for one in shown['revisions']])
        self.assertEqual([2], [one['revision'] for one in self.get(
            STATEMENTS, 'reader-p1')['statements']])
        self.assertEqual([1, 2], [one['revision'] for one in self.get(
            STATEMENTS, 'reader-p1', revisions='all')['statements']])

    def test_there_is_a_difference_to_nothing(self) -> None:
        path = f'{STATEMENTS}/{self.closed["p1"]["id"]}'
        self.assertIn('none before it', self.refused(
            404, f'{path}/differences', 'reader-p1'))
        self.assertIn('no revision 7', self.refused(
            404, f'{path}/differences', 'reader-p1', from_revision='7'))
        self.assertIn('revision 9', self.refused(
            404, path, 'reader-p1', revision='9'))

    def test_what_must_be_said_of_processor_counters_is_not(self) -> None:
        shown = self.get(f'{STATEMENTS}/{self.closed["p1"]["id"]}',
                         'reader-p1')['statement']
        self.assertEqual([
            'allocated share of energy estimated from processor counters',
            'not a legal-for-trade measurement'], shown['notices'])


class TariffsTest(StatementsCase):

    def record(self, **words: Any) -> Any:
        answer = self.ask(TARIFFS, 'billing-p2', method='POST',
                          body={**TARIFF, **words})
        self.assertEqual(201, answer.status_int, answer.text)
        return answer.json['tariff']

    def test_nothing_costs_nothing_without_a_tariff(self) -> None:
        (one,) = self.close('p1')
        self.assertEqual((None, None), (one['currency'], one['cost']))
        line = self.get(f'{STATEMENTS}/{one["id"]}/lines',
                        'reader-p1')['lines'][0]
        self.assertNotIn('cost', line)

    def test_a_tariff_does_not_make_money_of_energy(self) -> None:
        self.record()
        (one,) = self.close('p1')
        # 6.5 kWh at 0.25.
        self.assertEqual(('EUR', '1.63'), (one['currency'], one['cost']))
        lines = self.get(f'{STATEMENTS}/{one["id"]}/lines',
                         'reader-p1')['lines']
        self.assertEqual(163, sum(
            round(float(line['cost']) * 100) for line in lines))
        shown = self.get(f'{STATEMENTS}/{one["id"]}',
                         'reader-p1')['statement']
        self.assertEqual('contract 7',
                         shown['tariffs'][0]['legal_basis'])

    def test_a_tariff_that_is_wrong_is_recorded(self) -> None:
        window = {'days': ['mon'], 'start': '22:00', 'end': '24:00',
                  'price_per_kwh': '1'}
        for words, said in (
                ({'legal_basis': ' '}, 'legal_basis'),
                ({'currency': 'XXX'}, 'ISO 4217'),
                ({'currency': 'eur'}, 'ISO 4217'),
                ({'price_per_kwh': '-1'}, 'price_per_kwh'),
                ({'price_per_kwh': '0.1234567890123'}, 'price_per_kwh'),
                ({'start': '2026-01-01T00:01:00Z'}, 'quarter'),
                ({'end': '2025-01-01T00:00:00Z'}, 'end'),
                ({'project': 'p', 'domain': 'd'}, 'one of the two'),
                ({'co2_price_per_kg': '1'}, 'co2_method'),
                ({'co2_method': 'market'}, 'co2_price_per_kg'),
                ({'site': 'nowhere'}, 'no site'),
                ({'timezone': 'Mars/Base'}, 'timezone'),
                ({'windows': [{**window, 'start': '24:15'}]}, '24:00'),
                ({'windows': [{**window, 'end': '06:00'}]}, 'midnight'),
                ({'windows': [window, window]}, 'one price')):
            self.assertIn(said, self.wrong(TARIFFS, {**TARIFF, **words}),
                          words)
        self.assertEqual([], self.get(TARIFFS, 'admin-p1')['tariffs'])
        missing = {**TARIFF}
        del missing['legal_basis']
        self.assertIn('legal_basis', self.wrong(TARIFFS, missing))

    def test_tariffs_contradict_each_other(self) -> None:
        self.record()
        self.assertIn('same site', self.wrong(TARIFFS, TARIFF, status=409))
        self.assertIn('same currency', self.wrong(
            TARIFFS, {**TARIFF, 'currency': 'CHF', 'site': 'berlin'},
            status=409))
        self.record(project='p1', price_per_kwh='1')

    def test_what_is_withdrawn_counts_on(self) -> None:
        number = self.record()['id']
        self.assertEqual(204, self.ask(
            f'{TARIFFS}/{number}', 'admin-p1',
            method='DELETE').status_int)
        self.assertEqual([], self.get(TARIFFS, 'admin-p1')['tariffs'])
        (gone,) = self.get(TARIFFS, 'admin-p1',
                           superseded='true')['tariffs']
        self.assertEqual(units.iso(self.now), gone['superseded_at'])
        self.assertEqual(404, self.ask(
            f'{TARIFFS}/{number}', 'admin-p1',
            method='DELETE').status_int)
        self.now += datetime.timedelta(seconds=1)
        self.assertIsNone(self.close('p1')[0]['cost'])

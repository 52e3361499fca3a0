# SPDX-License-Identifier: Apache-2.0
"""The pages as they are sent: what is read, shown and refused, in words."""

from __future__ import annotations

import csv
import datetime
import io
import re
from typing import Any
from unittest import mock

import testtools
from keystoneauth1 import exceptions as ksa_exceptions

from energy_accounting import client, units
from tests.unit.dashboard import panels

# After what configures Django.
from energy_accounting.dashboard import connection  # isort: skip

NOW = datetime.datetime(2026, 11, 1, 12, tzinfo=units.UTC)
# Of Berlin.
OCTOBER, SEPTEMBER = '2026-09-30T22:00:00Z', '2026-08-31T22:00:00Z'
PROJECT, ADMIN = '/project/energy/', '/admin/energy/'
MONTH = '?month=2026-10'
IDENT = panels.statement()['id']
FAULTS = (
    (client.Unavailable('gone', status=503), 503, 'cannot be reached'),
    (client.TimedOut('slow'), 503, 'did not answer in time'),
    (client.Unauthorized('old token', status=401), 401,
     'did not accept your sign-in'),
    (client.Forbidden('no role', status=403), 403, 'You may not read this'),
    (client.Invalid('start: too early', status=400), 400,
     'could not answer'),
    (client.Error('broken', status=500), 503, 'could not answer'))


def text(response: Any) -> str:
    return response.content.decode()


def words(response: Any) -> str:
    """What is to be read, without markup."""
    plain = re.sub(r'<[^>]*>', ' ', text(response))
    return ' '.join(plain.replace('\N{NO-BREAK SPACE}', ' ').split())


def used(total: dict[str, Any] | None = None, servers: Any = (),
         before: dict[str, Any] | None = None, **lists: Any) -> panels.Api:
    """A month of a project, and the one before."""
    return panels.Api({
        ('none', 'total', OCTOBER): [panels.usage()
                                     if total is None else total],
        ('none', 'total', SEPTEMBER): [before] if before else [],
        ('none', 'day', OCTOBER): [panels.usage(start=OCTOBER)],
        ('instance', 'total', OCTOBER): servers,
        ('instance', 'day', OCTOBER): servers}, **lists)


class OfAProject(testtools.TestCase):

    def get(self, api: Any, path: str = PROJECT + MONTH,
            language: str = 'en') -> Any:
        return panels.get(path, api, NOW, language)

    def test_a_hole_in_what_was_measured_is_hidden(self) -> None:
        self.assertNotIn('ea-incomplete', text(self.get(used())))
        holed = used(panels.usage(coverage='0.987654'))
        self.assertIn('id="ea-incomplete"', text(self.get(holed)))
        self.assertIn('Only 98.77 % of the time was measured. What was used '
                      'in the other 1.23 % is missing',
                      words(self.get(holed)))
        self.assertIn('Nur 98,77 % der Zeit', words(self.get(
            holed, language='de')))

    def test_the_last_period_is_not_beside_this_one(self) -> None:
        found = words(self.get(used(
            panels.usage('3.000'), before=panels.usage(
                '2.000', facility_kwh=None))))
        self.assertIn('1 Sep – 30 Sep 2026: 2.000 kWh (+50 %)', found)
        self.assertIn('1 Sep – 30 Sep 2026: not known', found)
        self.assertNotIn('nothing was booked', found)
        self.assertIn('1 Sep – 30 Sep 2026: nothing was booked',
                      words(self.get(used())))

    def test_a_page_has_words_of_another_language(self) -> None:
        statements = [panels.statement()]
        german = self.get(used(statements=statements), language='de')
        self.assertIn('<div class="ea" lang="de"', text(german))
        self.assertIn('Abgeschlossene Energienachweise', words(german))
        self.assertNotIn('Abrechnung', words(german))
        self.assertIn('1.234,50 EUR', words(german))
        self.assertIn('<div class="ea" lang="en"', text(self.get(used())))

    def test_what_is_not_known_is_not_heard(self) -> None:
        found = text(self.get(used(panels.usage(facility_kwh=None), [
            panels.usage(instance_id='a', start=OCTOBER,
                         facility_kwh=None)])))
        self.assertIn('<span aria-hidden="true">–</span>'
                      '<span class="sr-only">not known</span>', found)
        self.assertNotIn('title=""', found)

    def test_a_great_project_makes_an_endless_page(self) -> None:
        servers = [panels.usage('1.000', instance_id=str(number),
                                active_kwh='0', facility_kwh='1')
                   for number in range(300)]
        found = self.get(used(servers=servers))
        self.assertIn('300 servers do nothing', words(found))
        self.assertIn('and 290 more', words(found))
        self.assertEqual(200, text(found).count('<tr id="ea-server-'))
        self.assertIn('The 200 that used most, of 300 servers. The download '
                      'has all of them.', words(found))

    def test_nothing_is_shown_as_0_or_not_explained(self) -> None:
        api = panels.Api(statements=[panels.statement()])
        found = words(self.get(api))
        self.assertIn('No energy was booked', found)
        self.assertIn('All hosts have reported until 1 Nov 2026, 13:00',
                      found)
        self.assertIn('Closed statements', found)
        self.assertNotIn('have reported until',
                         words(self.get(panels.Api(complete_until=None))))

    def test_a_period_that_means_nothing_is_asked_for(self) -> None:
        api = used()
        found = words(self.get(api, PROJECT + '?from=2026-12-01&to='))
        self.assertIn('A range needs its first and its last day', found)
        self.assertEqual([], api.asked)

    def test_a_fault_is_shown_as_0(self) -> None:
        for error, _status, said in FAULTS:
            api = mock.Mock()
            api.usage.side_effect = error
            found = self.get(api)
            self.assertIn('id="ea-failure"', text(found))
            self.assertIn(said, words(found))
            self.assertIn(str(error), words(found))
        self.assertIn('no energy service in this region',
                      words(self.get(panels.NoService())))


class Downloads(testtools.TestCase):

    def get(self, api: Any, path: str = PROJECT + 'csv/' + MONTH) -> Any:
        return panels.get(path, api, NOW, names={'a': '=web'})

    def test_a_file_has_other_rows_than_the_api(self) -> None:
        answer = self.get(used(servers=[panels.usage(instance_id='a'),
                                        panels.usage('9', instance_id='b')]))
        self.assertEqual('attachment; filename="energy-2026-10.csv"',
                         answer['Content-Disposition'])
        rows = list(csv.DictReader(io.StringIO(
            b''.join(answer.streaming_content).decode())))
        self.assertEqual(
            [('a', '2.000', "'=web"), ('b', '9', '')],
            [(row['instance_id'], row['it_kwh'], row['instance_name'])
             for row in rows])

    def test_a_refusal_is_told_as_a_breakdown(self) -> None:
        for error, status, said in FAULTS:
            api = mock.Mock()
            api.usage.return_value.rows.side_effect = error
            api.statement_document.side_effect = error
            for path in (PROJECT + 'csv/' + MONTH,
                         f'{PROJECT}statements/{IDENT}.pdf'):
                answer = self.get(api, path)
                self.assertEqual(status, answer.status_code, error)
                self.assertIn(said, text(answer))
                self.assertIn(str(error), text(answer))
        for path in (PROJECT + 'csv/', f'{PROJECT}statements/{IDENT}.pdf'):
            self.assertEqual(404, self.get(panels.NoService(),
                                           path).status_code)
        self.assertEqual(400, self.get(
            used(), PROJECT + 'csv/?month=13').status_code)

    def test_a_document_is_another_or_a_page_of_this_site(self) -> None:
        for where in (PROJECT, ADMIN):
            for form, media in (('pdf', 'application/pdf'),
                                ('html', 'text/html; charset=utf-8'),
                                ('csv', 'text/csv; charset=utf-8')):
                for language in ('de', 'en'):
                    api = panels.Api(
                        statement_document=lambda **said: repr(said))
                    answer = panels.get(
                        f'{where}statements/{IDENT}.{form}', api, NOW,
                        language)
                    self.assertEqual(
                        repr({'format': form, 'language': language}),
                        text(answer))
                    self.assertEqual(
                        (media, 'nosniff', 'attachment; filename="energy-'
                         f'statement-{IDENT}.{form}"'),
                        tuple(answer[name] for name in (
                            'Content-Type', 'X-Content-Type-Options',
                            'Content-Disposition')))

    def test_a_statement_of_others_is_told_from_none(self) -> None:
        for error in (client.NotFound('none', status=404), None):
            api = panels.Api(statement_document=error)
            form = 'csv' if error else 'exe'
            self.assertRaises(panels.http.Http404, self.get, api,
                              f'{PROJECT}statements/{IDENT}.{form}')


class OfAnOperator(testtools.TestCase):

    def get(self, tab: str, api: Any, language: str = 'en') -> Any:
        return panels.get(ADMIN + tab, api, NOW, language,
                          {'shop': 'webshop'})

    def test_books_that_do_not_balance_look_as_if_they_did(self) -> None:
        self.assertNotIn('ea-unbalanced', text(self.get(
            MONTH, panels.Api(balance=panels.balance()))))
        unbalanced = panels.balance(difference_uj='7200000000',
                                    difference_kwh='0.002')
        found = self.get(MONTH, panels.Api(balance=unbalanced))
        self.assertIn('id="ea-unbalanced"', text(found))
        self.assertIn('The books do not balance: 2.000 Wh', words(found))

    def test_nobody_has_reported_until_a_dash(self) -> None:
        found = words(self.get(MONTH, panels.Api(balance=panels.balance(
            complete_until=None))))
        self.assertIn('a lower bound of what the whole servers draw.', found)
        self.assertNotIn('have reported until', found)

    def test_late_hosts_are_left_out_of_a_great_cloud(self) -> None:
        def hosts(late: bool = False) -> list[Any]:
            return [panels.host(f'h{number}', late=number == 700)
                    for number in range(701)][700 if late else 0:]

        found = self.get('hosts/', panels.Api(hosts=hosts))
        names = re.findall('<tr><th scope="row">(h[0-9]+)<', text(found))
        self.assertEqual(('h700', 500), (names[0], len(names)))
        self.assertIn('There are more hosts', words(found))

    def test_a_list_is_of_another_state(self) -> None:
        for tab, asked, wanted in (
                ('exports/', 'exports', {'state': None}),
                ('exports/?state=failed', 'exports', {'state': 'failed'}),
                ('exports/?state=other', 'exports', {'state': None}),
                ('quarantine/', 'quarantine', {'state': 'held'}),
                ('quarantine/?state=released', 'quarantine',
                 {'state': 'released'}),
                ('quarantine/?state=other', 'quarantine',
                 {'state': 'held'})):
            api = panels.Api()
            self.assertIn('id="ea-empty"', text(self.get(tab, api)))
            self.assertEqual([(asked, wanted)], api.asked)

    def test_who_may_not_read_is_told_that_there_is_none(self) -> None:
        no = client.Forbidden('no role', status=403)
        for tab, name in (('exports/', 'exports'),
                          ('statements/', 'statements')):
            self.assertIn('You may not read', words(self.get(
                tab, panels.Api(**{name: no}))))

    def test_a_statement_has_the_name_of_another_project(self) -> None:
        api = panels.Api(statements=[panels.statement(project_name=None)])
        found = self.get('statements/', api)
        self.assertIn('October 2026 (Europe/Berlin) webshop 1 final 2.000 '
                      'kWh', words(found))
        self.assertIn(f'href="{ADMIN}statements/{IDENT}.pdf"', text(found))
        self.assertEqual([('statements', {'all_projects': True})], api.asked)

    def test_a_site_that_is_not_there_is_shown(self) -> None:
        sites = [{'name': name, 'time_zone': 'UTC', 'grid_zone': None}
                 for name in ('default', 'berlin-1', 'cologne')]
        year = {'start': '2025-11-01T00:00:00Z',
                'end': '2026-11-01T00:00:00Z',
                'kpis': [panels.kpi('WUE', '1.8', category=2)]}
        for query, wanted in (('', 'berlin-1'), ('?site=cologne', 'cologne'),
                              ('?site=nosuch', 'berlin-1')):
            found = self.get('sites/' + query, panels.Api(sites=sites,
                                                          kpis=year))
            self.assertIn(f'<option selected>{wanted}</option>', text(found))
            self.assertIn('WUE, category 2', words(found))
        self.assertIn('There is no site yet',
                      words(self.get('sites/', panels.Api())))

    def test_projects_are_asked_for_in_another_scope(self) -> None:
        api = panels.Api({('project', 'total', OCTOBER): [
            panels.usage(project_id='shop')]})
        found = words(self.get('projects/' + MONTH, api))
        self.assertIn('webshop', found)
        self.assertTrue(all(query['all_projects']
                            for _name, query in api.asked))
        self.assertIn('No host has reported', words(self.get(
            'projects/' + MONTH, panels.Api())))


class Names(testtools.TestCase):

    def names(self, **endpoints: str | None) -> dict[str, str]:
        request = mock.Mock(endpoints=endpoints)
        return connection.server_names(request)

    def test_a_compute_without_this_interface_breaks_the_page(self) -> None:
        self.assertEqual({}, self.names(compute=None))

    def test_a_compute_that_fails_breaks_the_page(self) -> None:
        self.assertEqual({}, self.names())
        with mock.patch.object(
                connection.adapter.Adapter, 'get',
                side_effect=ksa_exceptions.ConnectFailure('away')):
            self.assertEqual({}, self.names(compute='http://nova'))

    def test_a_second_page_of_names_is_not_read(self) -> None:
        first, last = ({'servers': [{'id': ident, 'name': f'web-{ident}'}]}
                       for ident in 'ab')
        answers = [mock.Mock(json=mock.Mock(return_value=body)) for body in (
            {**first, 'servers_links': [{'rel': 'next'}]}, last)]
        with mock.patch.object(connection.adapter.Adapter, 'get',
                               side_effect=answers) as asked:
            self.assertEqual({'a': 'web-a', 'b': 'web-b'},
                             self.names(compute='http://nova/'))
        self.assertEqual([{}, {'marker': 'a'}], [
            one.kwargs['params'] for one in asked.call_args_list])

# SPDX-License-Identifier: Apache-2.0
"""A long listing begins at once, and says how far it is."""

from __future__ import annotations

import argparse
import io
import sys
from unittest import mock

from energy_accounting import client
from energy_accounting.osc import common, progress
from tests.unit import web
from tests.unit.osc import test_commands

ROW, DAY = test_commands.ROW, test_commands.DAY


class Terminal(io.StringIO):

    def isatty(self) -> bool:
        return True


class StreamingTest(test_commands.CommandTest):

    def test_the_first_rows_wait_for_the_last(self) -> None:
        seen: list[str] = []

        def answer(request: web.Request) -> web.Answer:
            if 'marker' not in request.query:
                return test_commands.usage(ROW, marker='m')
            seen.append(sys.stdout.getvalue())  # type: ignore[attr-defined]
            return test_commands.usage({**ROW, 'instance_id': 'last'})

        self.answer = answer  # type: ignore[method-assign]
        for form in ('csv', 'value'):
            del seen[:]
            out = self.energy('usage', 'list', *DAY, '--group-by',
                              'instance', '-f', form)
            self.assertIn(test_commands.SERVER, seen[0])
            self.assertNotIn('last', seen[0])
            self.assertIn('last', out)

    def test_the_first_line_waits_for_a_thousand_servers(self) -> None:
        def answer(request: web.Request) -> web.Answer:
            return test_commands.usage(
                ROW, marker=None if 'marker' in request.query else 'm')

        self.answer = answer  # type: ignore[method-assign]
        for words, limits in (
                (('-f', 'csv'), ['50', None]),
                # All of a table must be there first.
                (('-f', 'table'), [None, None]),
                # Every sum is needed for the first row.
                (('-f', 'csv', '--sort', 'it_kwh'), [None, None]),
                (('-f', 'csv', '--resolution', 'day'), [None, None]),
                (('-f', 'csv', '--limit', '2'), ['2', '1']),
                (('-f', 'csv', '--marker', 'm'), ['50'])):
            del self.api.requests[:]
            self.energy('usage', 'list', *DAY, *words)
            self.assertEqual(limits, [request.query.get('limit') for request
                                      in self.api.requests])

    def test_a_list_that_breaks_off_is_taken_for_whole(self) -> None:
        self.answer = lambda request: (  # type: ignore[method-assign]
            web.Answer({'errors': [{'detail': 'not now'}]}, 503)
            if 'marker' in request.query
            else test_commands.usage(ROW, marker='m'))
        for form, written in (('table', False), ('json', False),
                              ('yaml', False), ('csv', True),
                              ('value', True)):
            status, out, err = self.openstack(
                '--os-auth-type', 'none', '--os-endpoint', self.api.url,
                'energy', 'usage', 'list', *DAY, '-f', form)
            self.assertEqual((1, 'not now'), (status, err.strip()))
            self.assertEqual(written, bool(out), form)

    def test_more_than_a_page_cannot_be_asked_for(self) -> None:
        page = [{**ROW, 'id': str(number)} for number in range(1000)]

        def answer(request: web.Request) -> web.Answer:
            noun = request.path.rpartition('/')[2]
            size = int(request.query.get('limit', 1000))
            self.assertLessEqual(size, 1000)
            return web.Answer({noun: page[:size], 'count': 9999, 'links': [
                {'rel': 'next', 'href':
                 f'/x?marker=m{len(self.api.requests)}'}]})

        self.answer = answer  # type: ignore[method-assign]
        for words in (('usage', 'list', *DAY), ('quarantine', 'list'),
                      ('audit', 'list'), ('reading', 'list', 'm'),
                      ('factor', 'list')):
            status, out, err = self.openstack(
                '--os-auth-type', 'none', '--os-endpoint', self.api.url,
                'energy', *words, '--limit', '1500', '-f', 'csv')
            self.assertEqual(0, status, err)
            self.assertEqual(1501, len(out.splitlines()))
        # Where one would go on with --marker, the last page ends there.
        self.energy('usage', 'list', *DAY, '--limit', '1500', '-f', 'csv')
        self.assertEqual('500', self.asked()['limit'])
        self.assertIn('8499 more', self.energy(
            'report', 'show', *DAY, '--top', '1500'))

    def test_a_name_that_is_wrong_looks_like_no_energy(self) -> None:
        def answer(request: web.Request) -> web.Answer:
            _, _, noun, *name = request.path.split('/')
            if not name:
                return web.Answer({noun: [], 'links': []})
            if name == ['nosuch']:
                return web.Answer({'errors': [{
                    'detail': f'there is no {noun[:-1]} of this name'}]}, 404)
            return web.Answer({'errors': [{'detail': 'no'}]}, 403)

        self.answer = answer  # type: ignore[method-assign]
        for form in ('table', 'csv', 'json'):
            for words in (('usage', 'list', *DAY, '--site'),
                          ('usage', 'list', *DAY, '--host'),
                          ('host', 'list', '--site'),
                          ('meter', 'list', '--site'),
                          ('quarantine', 'list', '--host')):
                self.assertIn(
                    f'there is no {words[-1][2:]}',
                    self.refused(*words, 'nosuch', '-f', form))
                # Who may not ask for it is not kept from the answer.
                self.energy(*words, 'secret', '-f', form)
        self.assertIn('No energy was booked.', self.energy(
            'usage', 'list', *DAY))
        self.assertIn("--boundary: 'foo' is none", self.refused(
            'usage', 'list', *DAY, '--boundary', 'foo'))
        self.assertIn('--group-by is empty', self.refused(
            'usage', 'list', *DAY, '--group-by', ''))

    def test_a_table_hides_that_some_of_it_was_booked_later(self) -> None:
        for changed, said in (({}, False), ({'backfilled': '0.2'}, True),
                              ({'estimated': '0.1'}, True)):
            self.answer = lambda request, changed=changed: (  # type: ignore
                test_commands.usage({**ROW, 'quality': {
                    **ROW['quality'], **changed}}))
            for form in ('table', 'csv'):
                self.assertEqual(
                    said and form == 'table', 'booked later' in self.energy(
                        'usage', 'list', *DAY, '-f', form))

    def test_a_pipe_keeps_the_rows_of_a_page_back(self) -> None:
        of = mock.Mock()
        of.app.stderr = io.StringIO()
        flushed: list[int] = []

        def pages() -> object:
            for number, marker in enumerate(('a', 'b', None)):
                flushed.append(of.app.stdout.flush.call_count)
                yield client.Page((number,), {}, marker)

        self.assertEqual([0, 1, 2], list(common.streamed(
            of, argparse.Namespace(formatter='csv'),
            pages())))  # type: ignore[arg-type]
        self.assertEqual([0, 1, 2], flushed)

    def test_a_table_of_many_pages_says_nothing_meanwhile(self) -> None:
        for out, shown in ((Terminal(), '\r\x1b[K2 rows\r\x1b[K'),
                           (io.StringIO(), '')):
            of = mock.Mock()
            of.app.stderr = out
            pages = (client.Page((1, 2), {}, 'm'), client.Page((3,), {}, None))
            list(common.streamed(of, argparse.Namespace(formatter='table'),
                                 pages))
            self.assertEqual(shown, out.getvalue())

    def test_a_bar_is_not_as_long_as_what_is_done(self) -> None:
        out = Terminal()
        with progress.Progress(out) as shown:
            shown.share('exporting', 1, 4)
            shown.share('exporting', 9, 4)
            shown.share('exporting', 0, 0)
        self.assertEqual(
            ['', f'exporting [{"#" * 6:25}]  25 %',
             f'exporting [{"#" * 25}] 100 %', f'exporting [{"":25}]   0 %',
             ''], out.getvalue().split('\r\x1b[K'))

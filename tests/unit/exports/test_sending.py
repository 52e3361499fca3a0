# SPDX-License-Identifier: Apache-2.0
"""Exports of files: once, whole, the same again."""

from __future__ import annotations

import csv
import dataclasses
import decimal
import hashlib
import io
import itertools
import json
import pathlib
from typing import Any
from unittest import mock

from oslotest import base

from energy_accounting import errors
from energy_accounting.exports import (
    deciding,
    publishing,
    sending,
    sources,
    tables,
    targets,
)
from energy_accounting.ledger import audit
from energy_accounting.ledger import exports as outbox
from tests.unit.exports import made
from tests.unit.statements import made as closed


class Killed(BaseException):
    """In the place of SIGKILL: nothing that handles errors sees it."""


class FilesTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.database = made.month(self)
        self.sender = made.sender(self, self.database)
        self.directory = self.sender.directory or pathlib.Path()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def test_what_was_confirmed_is_made_again(self) -> None:
        first = made.export(self.sender, 'csv')
        self.assertEqual((outbox.CONFIRMED, first.total), (
            first.state, first.done))
        before = made.path(first).stat()
        again = made.export(self.sender, 'csv')
        self.assertEqual(first, again)
        self.assertEqual((before.st_ino, before.st_mtime_ns), (
            made.path(again).stat().st_ino,
            made.path(again).stat().st_mtime_ns))
        self.assertEqual(1, self.database.read(outbox.count))

    def test_a_manifest_does_not_say_what_is_there(self) -> None:
        one = made.export(self.sender, 'csv')
        stem = sending.name_of(one)
        said = json.loads((self.directory / (
            stem + publishing.MANIFEST)).read_text())
        (file,) = said['files']
        content = (self.directory / file['name']).read_bytes()
        self.assertEqual(
            (len(content), hashlib.sha256(content).hexdigest(),
             content.count(b'\n') - 1),
            (file['bytes'], file['sha256'], file['rows']))
        self.assertEqual(
            [('p1', 1), ('p2', 1)],
            [(one['project_id'], one['revision'])
             for one in said['statements']])

    def test_another_directory_gets_other_bytes(self) -> None:
        for target, options in (
                ('csv', {}), ('jsonl', {}), ('focus', {}),
                ('focus', {'format': 'parquet', 'version': '1.3'})):
            first, other = (made.export(made.sender(self, self.database),
                                        target, **options)
                            for _ in range(2))
            self.assertNotEqual(first.export, other.export)
            self.assertEqual(made.path(first).read_bytes(),
                             made.path(other).read_bytes())

    def test_a_kill_leaves_half_a_file_or_makes_two(self) -> None:
        whole = made.path(made.export(
            made.sender(self, self.database), 'csv')).read_bytes()
        steps = (
            # In the middle of the file; whole, but not in its place; in its
            # place, but not in the manifest; in it, but not in the outbox.
            (publishing, 'digest'), (pathlib.Path, 'replace'),
            (publishing, 'publish_manifest'), (outbox, 'mark'))
        for module, name in steps:
            with self.subTest(name):
                sender = made.sender(self, self.database)
                directory = sender.directory or pathlib.Path()
                planned = sending.plan(sender, 'csv',
                                       made.source(self.database), {})
                with mock.patch.object(module, name, side_effect=Killed), \
                        mock.patch.object(pathlib.Path, 'unlink'), \
                        mock.patch.object(outbox, 'release'):
                    self.assertRaises(Killed, sending.send, sender, planned)
                self.assertEqual(outbox.PLANNED, self.database.read(
                    outbox.find, planned.export).state)
                # Held for a while: nobody sends beside who may be alive.
                self.assertRaisesRegex(errors.Conflict, 'another process',
                                       sending.send, sender, planned)
                later = dataclasses.replace(
                    sender, clock_ns=lambda: made.LATER_NS
                    + sending.HELD_NS)
                done = sending.resume(later, planned)
                self.assertEqual(outbox.CONFIRMED, done.state)
                self.assertEqual(whole, made.path(done).read_bytes())
                self.assertEqual(2, len(list(directory.iterdir())),
                                 list(directory.iterdir()))

    def test_who_waits_is_sent_away_when_the_other_ends(self) -> None:
        planned = sending.plan(self.sender, 'csv',
                               made.source(self.database), {})
        take, tried = outbox.take, []

        def once_too_early(*words: Any, **more: Any) -> outbox.Export | None:
            tried.append(words)
            # It was held; when anybody looks, it is not any more.
            return take(*words, **more) if len(tried) > 1 else None

        with mock.patch.object(outbox, 'take', once_too_early):
            self.assertEqual(outbox.CONFIRMED, sending.resume(
                self.sender, planned).state)

    def test_a_file_is_in_its_place_before_it_is_whole(self) -> None:
        def write(*args: object) -> int:
            raise OSError(28, 'No space left on device')

        with mock.patch.object(
                targets, 'load', return_value=targets.File(
                    {}, lambda options: 'csv', write)):
            self.assertRaisesRegex(
                errors.ConfigurationError, 'directory: .*No space',
                made.export, self.sender, 'csv')
        self.assertEqual([], self.names())
        (failed,) = self.database.read(outbox.read)
        self.assertEqual(outbox.FAILED, failed.state)
        self.assertIn('No space left', failed.error)
        done = made.export(self.sender, 'csv')
        self.assertEqual((outbox.CONFIRMED, None), (done.state, done.error))
        self.assertEqual(failed.export, done.export)

    def test_what_is_away_for_a_minute_waits_for_a_person(self) -> None:
        planned = sending.plan(self.sender, 'csv',
                               made.source(self.database), {})
        away = errors.Unavailable('the network is away')
        for step in ('publish', 'publish_manifest'):
            with mock.patch.object(publishing, step, side_effect=away):
                self.assertRaisesRegex(errors.Unavailable, 'is away',
                                       sending.send, self.sender, planned)
            one = self.database.read(outbox.find, planned.export)
            self.assertEqual(
                (outbox.PLANNED, 'the network is away', None),
                (one.state, one.error, one.holder))
        done = sending.send(self.sender, planned)
        self.assertEqual((outbox.CONFIRMED, None), (done.state, done.error))

    def test_a_socket_that_is_closed_is_a_full_disk(self) -> None:
        for error in (ConnectionResetError(104, 'reset by peer'),
                      TimeoutError('timed out')):
            with mock.patch.object(targets, 'load', return_value=targets.File(
                    {}, lambda options: 'csv', mock.Mock(
                        side_effect=error))):
                self.assertRaises(errors.Unavailable, made.export,
                                  self.sender, 'csv')

    def test_who_finds_nothing_to_write_for_long_loses_the_export(
            self) -> None:
        # A revision that differs in one line of many.
        made.late(self.database)
        now_ns = itertools.count(made.LATER_NS, 10 * 10 ** 9)
        sender = dataclasses.replace(self.sender,
                                     clock_ns=lambda: next(now_ns))
        for often, expected in ((1, 3 + 3 + 4 + 1), (10 ** 6, 1)):
            with mock.patch.object(sources, '_OFTEN', often), \
                    mock.patch.object(outbox, 'advance') as advance:
                made.export(sender, 'csv', 'p1' if often == 1 else None)
            self.assertEqual(expected, advance.call_count)

    def test_what_was_handed_over_is_handed_over_again(self) -> None:
        planned = sending.plan(self.sender, 'csv',
                               made.source(self.database), {})
        whole, looked = publishing.whole, []

        def away_at_last(*words: Any) -> Any:
            looked.append(words)
            if len(looked) == 2:
                raise errors.Unavailable('the network is away')
            return whole(*words)

        with mock.patch.object(publishing, 'whole', away_at_last):
            self.assertRaises(errors.Unavailable, sending.send, self.sender,
                              planned)
        self.assertEqual(outbox.SENT, self.database.read(
            outbox.find, planned.export).state)

    def test_what_was_given_up_is_sent_or_cannot_be_had_again(self) -> None:
        source, ann = made.source(self.database), audit.Actor('eve')
        planned = sending.plan(self.sender, 'csv', source, {})
        given_up = deciding.cancel(self.database, planned.export, ann, 1)
        self.assertEqual((outbox.CANCELLED, given_up), (
            given_up.state, deciding.cancel(self.database, planned.export,
                                            ann, 2)))
        # Also by who found it in the outbox before that.
        self.assertEqual(outbox.CANCELLED, sending.send(
            self.sender, planned).state)
        self.assertEqual([], self.names())
        self.assertEqual(
            [({'state': 'planned'}, {'state': 'cancelled'})],
            [(one.was, one.became) for one in self.database.read(
                audit.read, actor='eve')])
        self.assertEqual(outbox.PLANNED, deciding.retry(
            self.database, planned.export, ann, 3).state)
        deciding.cancel(self.database, planned.export, ann, 4)
        again = sending.plan(self.sender, 'csv', source, {})
        self.assertEqual((planned.export, outbox.PLANNED), (
            again.export, again.state))
        sending.send(self.sender, again)
        self.assertRaisesRegex(
            errors.Conflict, 'is confirmed', deciding.cancel, self.database,
            planned.export, ann, 5)
        self.assertRaisesRegex(
            errors.NotFound, "no export 'x'", deciding.cancel, self.database,
            'x', ann, 5)

    def test_what_a_process_sends_is_given_up_under_it(self) -> None:
        planned = sending.plan(self.sender, 'csv',
                               made.source(self.database), {})
        ann = audit.Actor('ann')
        self.database.write(outbox.take, planned.export, 'another', 0, 10)
        self.assertRaisesRegex(
            errors.Conflict, 'in the hands of a process', deciding.cancel,
            self.database, planned.export, ann, 9)
        deciding.cancel(self.database, planned.export, ann, 10)
        # That one was not dead, and comes back.
        self.assertRaises(
            outbox.Lost, self.database.write, outbox.mark, planned.export,
            'another', outbox.CONFIRMED, 11)

    def test_late_energy_is_not_exported(self) -> None:
        first = made.export(self.sender, 'csv')
        before = made.path(first).read_bytes()
        made.late(self.database)
        second = made.export(self.sender, 'csv')
        self.assertNotEqual(first.export, second.export)
        self.assertEqual(before, made.path(first).read_bytes())
        rows = list(csv.DictReader(io.StringIO(made.text(second))))
        old = list(csv.DictReader(io.StringIO(before.decode())))
        added = [one for one in rows if one not in old]
        self.assertEqual([one for one in rows if one in old], old)
        self.assertEqual(
            [('true', '2', '2026-10-02', 'web', '1.000000000000000',
              '0.30')],
            [(one['correction'], one['statement_revision'], one['day'],
              one['instance_id'], one['it_kwh'], one['cost'])
             for one in added])

    def test_who_loads_every_file_has_rows_twice_and_is_not_told(
            self) -> None:
        def replaces(one: outbox.Export) -> Any:
            return json.loads((self.directory / (
                sending.name_of(one) + publishing.MANIFEST)).read_text(
                    ))['replaces']

        first = made.export(self.sender, 'csv')
        self.assertIsNone(replaces(first))
        # Of another project, target or option nothing is replaced.
        for other in (made.export(self.sender, 'csv', 'p1'),
                      made.export(self.sender, 'focus'),
                      made.export(self.sender, 'focus', version='1.3')):
            self.assertIsNone(replaces(other))
        made.late(self.database)
        second = made.export(self.sender, 'csv')
        self.assertEqual(sending.name_of(first) + publishing.MANIFEST,
                         replaces(second))

    def test_rows_do_not_add_up_to_the_newest_statement(self) -> None:
        made.late(self.database)
        made.late(self.database, 'db', 12345)
        rows = list(csv.DictReader(io.StringIO(made.text(
            made.export(self.sender, 'csv', 'p1')))))
        (newest,) = self.database.read(closed.stored.store.read,
                                       project_id='p1')
        self.assertEqual(3, newest.revision)
        totals = newest.head['totals']
        self.assertEqual(int(totals['it_uj']), sum(
            closed.units.microjoules(one['it_kwh']) for one in rows))
        self.assertEqual(decimal.Decimal(totals['cost']), sum(
            decimal.Decimal(one['cost']) for one in rows))
        self.assertEqual(len(rows), len({one['event_id'] for one in rows}))

    def test_a_provisional_statement_is_exported(self) -> None:
        closed.close(self.database, 'p3', now_ns=closed.NOW_NS - 10 ** 15)
        self.assertRaisesRegex(errors.Conflict, '1 of .* provisional.*p3',
                               made.export, self.sender, 'csv')
        self.assertEqual(outbox.CONFIRMED, made.export(
            self.sender, 'csv', 'p1').state)

    def test_what_cannot_be_sent_any_more_is_held(self) -> None:
        planned = sending.plan(self.sender, 'csv',
                               made.source(self.database), {})
        closed.close(self.database, 'p3', now_ns=closed.NOW_NS - 10 ** 15)
        self.assertRaisesRegex(errors.Conflict, 'provisional', sending.send,
                               self.sender, planned)
        one = self.database.read(outbox.find, planned.export)
        self.assertEqual((outbox.FAILED, None), (one.state, one.holder))
        self.assertIn('provisional', one.error)

    def test_nothing_closed_is_an_empty_file(self) -> None:
        self.assertRaisesRegex(errors.NotFound, 'close it first',
                               made.export, self.sender, 'csv', 'nobody')

    def test_a_flavor_is_a_formula(self) -> None:
        for target in ('csv', 'focus'):
            found = made.text(made.export(self.sender, target))
            self.assertIn("'=cmd|calc", found)
            for row in csv.reader(io.StringIO(found)):
                for cell in row:
                    self.assertFalse(cell.startswith(('=', '+', '@')), cell)
        # No spreadsheet opens these.
        self.assertIn('"=cmd|calc"', made.text(made.export(self.sender,
                                                           'jsonl')))

    def test_any_other_text_is_a_formula(self) -> None:
        file = io.BytesIO()
        tables.write_csv(file, [tables.Column('domain_id', tables.TEXT)],
                         [['=1'], ['@SUM(1)']], lambda rows: None)
        self.assertEqual(["'=1", "'@SUM(1)"],
                         file.getvalue().decode().split('\n')[1:3])

    def test_who_was_overtaken_ends_with_a_traceback(self) -> None:
        planned = sending.plan(self.sender, 'csv',
                               made.source(self.database), {})
        with mock.patch.object(
                outbox, 'mark', side_effect=outbox.Lost), mock.patch.object(
                    publishing, 'publish',
                    side_effect=errors.ConfigurationError('gone')):
            self.assertRaisesRegex(errors.Conflict, 'another has it now',
                                   sending.send, self.sender, planned)

    def test_a_number_in_json_is_a_float(self) -> None:
        for line in made.text(made.export(
                self.sender, 'jsonl')).splitlines():
            found = json.loads(line)
            self.assertEqual({'statement_revision'}, {
                name for name, value in found.items()
                if isinstance(value, int | float)
                and not isinstance(value, bool)})

    def test_options_are_longer_than_the_outbox_keeps(self) -> None:
        target = targets.File({'again': targets.Option('', 'any text')},
                              lambda options: '', lambda *words: 0)
        longest = targets.MOST - len('{"again":""}')
        self.assertEqual({'again': 'x' * longest}, targets.chosen(
            target, {'again': 'x' * longest}))
        self.assertRaisesRegex(
            errors.InvalidRequest, 'options: .*255 characters',
            targets.chosen, target, {'again': 'x' * (longest + 1)})

    def test_an_option_that_is_not_there_is_ignored(self) -> None:
        self.assertRaisesRegex(
            errors.InvalidRequest, "option 'colour'.*there is format",
            made.export, self.sender, 'focus', colour='red')
        self.assertRaisesRegex(
            errors.InvalidRequest, "version: '0.5' is not one of 1.2, 1.3",
            made.export, self.sender, 'focus', version='0.5')
        self.assertRaisesRegex(
            errors.InvalidRequest, "names 'fax', .*there is .*csv",
            made.export, self.sender, 'fax')

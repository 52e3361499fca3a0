# SPDX-License-Identifier: Apache-2.0
"""What CloudKitty is given: all of a statement, once, whatever happens."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import functools
import pathlib
import types
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

import fixtures
from keystoneauth1 import exceptions as ksa_exceptions
from oslo_config import cfg
from oslotest import base

from energy_accounting import conf as options
from energy_accounting import errors, units
from energy_accounting.exports import (
    cloudkitty_api,
    cloudkitty_points,
    sending,
    targets,
)
from energy_accounting.ledger import engine, retired
from energy_accounting.ledger import exports as outbox
from tests.unit.exports import kitty, made
from tests.unit.statements import made as closed

Shown = dict[str, tuple[int, decimal.Decimal]]
METRIC = cloudkitty_points.METRIC


@functools.cache
def month(price: str | None) -> bytes:
    """The file of a ledger with a closed October: it is made but once."""
    holder = unittest.TestCase()
    database = made.month(holder, price=price)
    path = pathlib.Path(str(database.engine.url.database))
    database.close()
    try:
        return path.read_bytes()
    finally:
        holder.doCleanups()


class Killed(BaseException):
    """In the place of SIGKILL: nothing that handles errors sees it."""


def said(database: engine.Database) -> Shown:
    """Microjoules and price by instance, of the newest statements."""
    found: dict[str, list[Any]] = collections.defaultdict(
        lambda: [0, decimal.Decimal(0)])
    newest = {one.project_id: one for one in database.read(
        closed.stored.store.read)}
    with database.reader() as connection:
        for one in newest.values():
            for line in closed.stored.lines_of(connection, one):
                sums = found[line.instance_id or '']
                sums[0] += line.it_uj
                sums[1] += decimal.Decimal(line.cost or 0)
    return {name: (energy, price) for name, (energy, price) in found.items()}


def shown(there: kitty.Kitty) -> Shown:
    """The same, of what CloudKitty has."""
    found: dict[str, list[Any]] = collections.defaultdict(
        lambda: [0, decimal.Decimal(0)])
    for one, _ in there.points.values():
        sums = found[one['groupby']['id']]
        sums[0] += units.microjoules(decimal.Decimal(repr(one['qty'])))
        sums[1] += decimal.Decimal(one['rating']['price'])
    return {name: (energy, price)
            for name, (energy, price) in found.items() if energy}


def posted(there: kitty.Kitty) -> list[Any]:
    """Every point of every request that was taken."""
    return [one for body in there.posted for frame in body['dataframes']
            for one in frame['usage'][METRIC]]


def configured(**given: Any) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([], project='nothing', default_config_files=[])
    for name, value in given.items():
        conf.set_override(name, value, 'cloudkitty')
    return conf


class CloudKittyTest(base.BaseTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.kitty = kitty.Kitty()
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.exports.cloudkitty_api.connect',
            lambda conf: cloudkitty_api.CloudKitty(
                self.kitty, kitty.URL)))  # type: ignore[arg-type]
        self.conf = configured()
        self.made()

    def made(self, price: str | None = '0.30') -> None:
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'ea.db')
        path.write_bytes(month(price))
        self.database = engine.Database(f'sqlite:///{path}')
        self.addCleanup(self.database.close)
        self.sender = dataclasses.replace(
            made.sender(self, self.database), directory=None,
            conf=self.conf)

    def export(self, project_id: str | None = None, **given: str,
               ) -> outbox.Export:
        return made.export(self.sender, 'cloudkitty', project_id, **given)

    def put(self, start: str, groupby: dict[str, str], qty: str = '1') -> None:
        self.kitty.request('/v2/dataframes', 'POST', raise_exc=False, json={
            'dataframes': [{'period': {
                'begin': start, 'end': start.replace(':00Z', ':30Z')},
                'usage': {METRIC: [{
                    'vol': {'unit': 'kWh', 'qty': qty}, 'metadata': {},
                    'rating': {'price': '1'}, 'groupby': groupby}]}}]})
        self.kitty.posted.clear()

    def assert_all_there(self) -> None:
        self.assertEqual(said(self.database), shown(self.kitty))

    def test_energy_or_money_is_lost_on_the_way(self) -> None:
        one = self.export()
        self.assertEqual((outbox.CONFIRMED, kitty.URL, 4, 4), (
            one.state, one.destination, one.done, one.total))
        self.assert_all_there()
        self.assertEqual(len(self.kitty.points), len(posted(self.kitty)))

    def test_a_frame_is_not_a_closed_hour(self) -> None:
        self.export('p1')
        frames = sorted(
            (frame['period']['begin'], frame['period']['end'],
             len(frame['usage'][METRIC]))
            for body in self.kitty.posted for frame in body['dataframes'])
        # The 25th has 25 hours, of which this is the last.
        self.assertEqual([
            ('2026-09-30T22:00:00Z', '2026-09-30T23:00:00Z', 2),
            ('2026-10-25T22:00:00Z', '2026-10-25T23:00:00Z', 1)], frames)

    def test_a_summary_by_month_does_not_find_it(self) -> None:
        self.export('p1')
        first, *_, last = posted(self.kitty)
        for one, week, day in ((first, '39', '274'), (last, '43', '298')):
            found = one['groupby']
            self.assertEqual(('2026', '10', week, day), tuple(
                found[name] for name in cloudkitty_points.CALENDAR))
        # As strftime does: with a zero in front.
        self.assertEqual('05', cloudkitty_points.calendar(
            '2026-02-01')['week_of_the_year'])

    def test_a_key_has_the_name_of_metadata_of_other_metrics(self) -> None:
        self.export()
        # Of CloudKitty's own metrics.yml, and of what operators add.
        taken = {'flavor', 'flavor_id', 'flavor_name', 'vcpus', 'state',
                 'instance_id', 'region', 'site', 'name', 'host'}
        for one in posted(self.kitty):
            self.assertFalse(taken & {*one['groupby'], *one['metadata']})
            self.assertTrue(all(isinstance(value, str)
                                for value in one['metadata'].values()))

    def test_nothing_is_charged_and_nothing_is_sent(self) -> None:
        self.made(price=None)
        self.export()
        self.assert_all_there()
        self.assertEqual({'0'}, {
            one['rating']['price'].rstrip('0').rstrip('.') or '0'
            for one in posted(self.kitty)})

    def test_what_was_confirmed_is_asked_for_again(self) -> None:
        first = self.export()
        self.kitty.asked.clear()
        self.assertEqual(first, self.export())
        self.assertEqual([], self.kitty.asked)

    def test_a_second_look_sends_it_twice(self) -> None:
        for doubles in (False, True):
            self.kitty = kitty.Kitty(doubles=doubles)
            self.export(again=f'first {doubles}')
            before = dict(self.kitty.points)
            self.kitty.posted.clear()
            again = self.export(again=f'{doubles}')
            self.assertEqual(outbox.CONFIRMED, again.state)
            self.assertEqual([], self.kitty.posted)
            self.assertEqual(before, self.kitty.points)

    def test_what_was_taken_out_there_does_not_come_back(self) -> None:
        self.export()
        self.kitty.points.popitem()
        self.kitty.posted.clear()
        self.export(again='1')
        self.assert_all_there()
        self.assertEqual(1, len(posted(self.kitty)))

    # --- killed ---

    def killed(self, planned: outbox.Export) -> None:
        with mock.patch.object(outbox, 'release'):
            self.assertRaises(Killed, sending.send, self.sender, planned)

    def resumed(self, planned: outbox.Export) -> None:
        later = dataclasses.replace(
            self.sender, clock_ns=lambda: made.LATER_NS + sending.HELD_NS)
        self.assertEqual(outbox.CONFIRMED,
                         sending.resume(later, planned).state)
        self.assert_all_there()
        # Nothing that it had is sent to it again.
        self.assertEqual(len(self.kitty.points), len(posted(self.kitty)))

    def test_a_kill_leaves_half_or_sends_it_twice(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.exports.cloudkitty._POINTS', 1))
        moments = [(number, *how) for number in (1, 3, 4) for how in (
            (False, False), (True, False), (True, True))]
        for number, after, doubles in moments:
            with self.subTest(number=number, after=after, doubles=doubles):
                self.kitty = kitty.Kitty(doubles=doubles)
                self.conf.set_override('overwrites', not doubles,
                                       'cloudkitty')
                planned = sending.plan(
                    self.sender, 'cloudkitty', made.source(self.database),
                    {'again': f'{number} {after} {doubles}'})
                _kill_at(self.kitty, number, after)
                self.killed(planned)
                self.assertEqual(number - (not after),
                                 len(posted(self.kitty)))
                self.kitty.refuses = lambda method, path: None
                self.kitty.after = lambda: None
                self.resumed(planned)

    def test_a_kill_before_it_is_marked_sends_it_twice(self) -> None:
        for doubles in (False, True):
            self.kitty = kitty.Kitty(doubles=doubles)
            planned = sending.plan(self.sender, 'cloudkitty',
                                   made.source(self.database),
                                   {'again': str(doubles)})
            with mock.patch.object(outbox, 'mark', side_effect=Killed):
                self.killed(planned)
            self.resumed(planned)

    # --- corrections ---

    def test_a_correction_counts_beside_what_it_corrects(self) -> None:
        self.export()
        self.kitty.posted.clear()
        made.late(self.database)
        made.late(self.database, 'db', 12345)
        self.export()
        self.assert_all_there()
        self.assertEqual([('web', '3'), ('db', '3')], [
            (one['groupby']['id'], one['metadata']['energy_revision'])
            for one in posted(self.kitty)][::-1])

    def test_a_storage_that_does_not_overwrite_is_given_a_correction(
            self) -> None:
        self.kitty.doubles = True
        self.conf.set_override('overwrites', False, 'cloudkitty')
        self.export()
        before = dict(self.kitty.points)
        closed.late(self.database, 'web', 'p1', closed.bucket(1),
                    closed.KWH)
        closed.close(self.database, 'p1', now_ns=made.LATER_NS)
        self.assertRaisesRegex(
            errors.Conflict, 'instance web, day 274 of 2026: CloudKitty has '
            '1.0000000000025 kWh for 0.3, the statement says '
            '2.0000000000025 kWh for 0.6; .*overwrites is false',
            self.export)
        self.assertEqual(before, self.kitty.points)

    def test_hours_do_not_add_up_to_what_was_closed(self) -> None:
        # It came after the statement, which does not have it.
        closed.late(self.database, 'web', 'p1', closed.bucket(1, 40), 777)
        closed.late(self.database, 'web', 'p1', closed.bucket(1, 50), 77)
        self.export()
        self.assert_all_there()
        self.assertEqual(3, sum(one['groupby']['id'] == 'web' for one, _ in
                                self.kitty.points.values()) - 1)

    def test_what_lies_otherwise_in_its_day_is_not_mended(self) -> None:
        self.export()
        self.kitty.points.pop(next(
            key for key in self.kitty.points if key[0] == closed.bucket(1)
            and ('id', 'web') in key[2]))
        closed.late(self.database, 'web', 'p1', closed.bucket(1, 40), 777)
        self.export(again='1')
        self.assert_all_there()

    def test_hours_that_were_retired_are_not_sent(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            f'{retired.__name__}.kept_since', lambda connection: 10 ** 9))
        self.export('p1')
        self.assertEqual({
            ('2026-09-30T22:00:00Z', '2026-10-01T22:00:00Z'),
            ('2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z')}, {
                (frame['period']['begin'], frame['period']['end'])
                for body in self.kitty.posted
                for frame in body['dataframes']})
        self.export('p2')
        self.assert_all_there()

    def tags(self, start: int) -> dict[str, str]:
        """The groupby keys of the point of an instance at a time."""
        return next(dict(key[2]) for key in self.kitty.points
                    if key[0] == start and ('id', 'web') in key[2])

    def test_what_no_statement_says_any_more_is_charged(self) -> None:
        self.export()
        # A flavor that the instance has not any more.
        self.put('2026-09-30T22:00:00Z', {
            **self.tags(closed.bucket(1)), 'energy_flavor': 'm1.gone'})
        self.export(again='1')
        self.assert_all_there()

    def test_a_statement_of_another_time_zone_is_charged_too(self) -> None:
        self.export()
        # There, the hour is of the day before.
        self.put('2026-10-25T22:00:00Z', {
            **self.tags(closed.bucket(25, 96)), 'day_of_the_year': '297'})
        self.export(again='1')
        self.assert_all_there()

    def test_points_of_another_region_are_taken_for_ours(self) -> None:
        self.export()
        self.put('2026-09-30T22:00:00Z', {
            **self.tags(closed.bucket(1)), 'id': 'elsewhere'})
        for again in '12':
            self.export(again=again)
            self.assertEqual(closed.KWH, shown(self.kitty)['elsewhere'][0])
            # All of the day is looked at.
            self.kitty.points.pop(next(
                key for key in self.kitty.points if ('id', 'web') in key[2]))

    def test_what_a_collector_collects_is_charged_beside_ours(self) -> None:
        self.put('2026-10-05T12:00:00Z', {'id': 'web', 'project_id': 'p1'})
        self.assertRaisesRegex(
            errors.Conflict, f'project p1: .*take {METRIC} out of its '
            'metrics.yml', self.export)
        self.assertEqual([], self.kitty.posted)

    def test_a_storage_that_keeps_nothing_is_believed(self) -> None:
        self.kitty.after = self.kitty.points.clear
        self.assertRaisesRegex(
            errors.Conflict, 'CloudKitty has 0 kWh for 0, the statement '
            r'says .*; 3 such lines', self.export)
        self.kitty.after = lambda: None
        self.export()
        self.assert_all_there()

    def test_a_name_comes_back_as_another(self) -> None:
        self.assertEqual('a_b__c ,=|ü', cloudkitty_points.clean(
            'a\\b\n\tc ,=|ü'))

    def test_an_answer_has_more_points_than_a_page(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.exports.cloudkitty_api._PAGE', 1))
        self.export('p1')
        self.kitty.posted.clear()
        closed.late(self.database, 'db', 'p1', closed.bucket(1), 777)
        closed.close(self.database, 'p1', now_ns=made.LATER_NS)
        self.export('p1')
        self.assertEqual(['db'], [one['groupby']['id']
                                  for one in posted(self.kitty)])

    def test_days_that_are_looked_at_apart_lose_something(self) -> None:
        self.useFixture(fixtures.MonkeyPatch(
            'energy_accounting.exports.cloudkitty._LINES', 1))
        self.export()
        self.assert_all_there()

    # --- what can go wrong ---

    def test_a_refusal_does_not_say_what_to_do(self) -> None:
        for status, text, error, words in (
                (401, kitty.UNAUTHORIZED, errors.ConfigurationError,
                 r'401.*\[keystone_authtoken\].*requires authentication'),
                (403, kitty.FORBIDDEN, errors.ConfigurationError,
                 '403.*role admin.*dataframes:add'),
                (404, kitty.NO_V2, errors.ConfigurationError,
                 r'404.*\[storage\] version = 2'),
                (400, kitty.INVALID, errors.Conflict, '400.*CloudKitty 25'),
                (500, kitty.BROKEN, errors.Unavailable,
                 '500.*InfluxDB.*restarted')):
            for refused in (cloudkitty_api.SUMMARY,
                            cloudkitty_api.DATAFRAMES):
                with self.subTest(status=status, refused=refused):
                    self.kitty.refuses = _refusing(refused, status, text)
                    found = self.assertRaises(error, self.export)
                    self.assertRegex(
                        str(found), rf'^\[cloudkitty\]: \w+ {kitty.URL}'
                        rf'{refused}: {words}')
                    self.assertNotIn('\n', str(found))
                    (failed,) = self.database.read(outbox.read)
                    # What is away may come back without anybody.
                    self.assertEqual((
                        outbox.PLANNED if error is errors.Unavailable
                        else outbox.FAILED, str(found)), (
                            failed.state, failed.error))
        self.assertEqual({}, self.kitty.points)
        self.kitty.refuses = lambda method, path: None
        self.export()
        self.assert_all_there()

    def test_a_service_that_is_away_is_a_traceback(self) -> None:
        def away(method: str, path: str) -> None:
            raise ksa_exceptions.ConnectFailure(
                'Unable to establish connection to http://rating: refused')

        self.kitty.refuses = away
        self.assertRaisesRegex(
            errors.Unavailable, 'Unable to establish.*running.*next time',
            self.export)

    def test_what_is_no_cloudkitty_is_a_traceback(self) -> None:
        self.kitty.refuses = lambda method, path: (200, '<html>Welcome')
        self.assertRaisesRegex(errors.ConfigurationError,
                               'not CloudKitty: .*Welcome', self.export)

    def test_it_goes_to_another_cloudkitty_than_was_planned(self) -> None:
        planned = sending.plan(self.sender, 'cloudkitty',
                               made.source(self.database), {})
        self.useFixture(fixtures.MonkeyPatch(
            'tests.unit.exports.kitty.URL', 'http://other.example'))
        self.assertRaisesRegex(
            errors.ConfigurationError, 'is for http://rating.example:8889, '
            'and the configuration leads to http://other.example',
            sending.send, self.sender, planned)
        self.assertEqual([], self.kitty.asked)

    def test_a_sender_of_files_sends_to_services(self) -> None:
        self.sender = dataclasses.replace(self.sender, conf=None)
        self.assertRaisesRegex(errors.ConfigurationError, 'no configuration',
                               self.export)


def _kill_at(there: kitty.Kitty, number: int, after: bool) -> None:
    """Kill when a post comes, or when it was taken."""
    def before(method: str, path: str) -> None:
        if method == 'POST' and len(there.posted) + 1 == number:
            raise Killed

    def taken() -> None:
        if len(there.posted) == number:
            raise Killed

    if after:
        there.after = taken
    else:
        there.refuses = before


def _refusing(path: str, status: int, text: str,
              ) -> Callable[[str, str], tuple[int, str] | None]:
    return lambda method, asked: (status, text) if asked == path else None


    def test_another_service_at_its_address_is_a_traceback(self) -> None:
        for text in ('{"hello": 1}', '{"results": [{}]}', '[]',
                     '{"results": 3}'):
            answer = types.SimpleNamespace(status_code=200, text=text)
            with mock.patch.object(self.kitty, 'request',
                                   lambda *words, said=answer, **how: said):
                self.assertRaisesRegex(
                    errors.ConfigurationError, 'not CloudKitty',
                    made.export, self.sender, 'cloudkitty')

    def test_two_exports_of_the_same_points_are_sent_at_once(self) -> None:
        first = sending.plan(self.sender, 'cloudkitty',
                             made.source(self.database), {})
        began: list[sending.Sender] = []

        def refuses(method: str, path: str) -> None:
            if method == 'POST' and not began:
                # In the middle of it a revision comes, and is to be sent.
                began.append(self.sender)
                closed.late(self.database, 'web', 'p1', closed.bucket(1),
                            closed.KWH)
                closed.close(self.database, 'p1', now_ns=made.LATER_NS)
                self.assertRaisesRegex(
                    sending.Held, 'another export to', made.export,
                    self.sender, 'cloudkitty')

        self.kitty.refuses = refuses
        self.assertRaisesRegex(errors.Conflict, 'closed again', sending.send,
                               self.sender, first)
        done = made.export(self.sender, 'cloudkitty')
        self.assertEqual(outbox.CONFIRMED, done.state)
        self.assertEqual(said(self.database), shown(self.kitty))


class ConnectTest(base.BaseTestCase):

    def refused(self, words: str, **given: Any) -> None:
        self.assertRaisesRegex(errors.ConfigurationError, words,
                               cloudkitty_api.connect, configured(**given))

    def test_credentials_that_are_missing_are_a_traceback(self) -> None:
        self.refused(r'\[cloudkitty\] auth_type is not set')
        self.refused(r'\[cloudkitty\]: .*nonsense', auth_type='nonsense')

    def test_a_catalogue_without_it_is_a_traceback(self) -> None:
        self.refused("catalogue .*type 'rating'.*endpoint_override",
                     auth_type='none')

    def test_options_that_do_not_fit_are_a_traceback(self) -> None:
        self.refused("'inner' is not a valid value for valid_interfaces",
                     auth_type='none', valid_interfaces=['inner'])

    def test_a_keystone_that_is_away_is_for_a_person_to_mend(self) -> None:
        for error in (ksa_exceptions.ConnectTimeout, ksa_exceptions.BadGateway,
                      ksa_exceptions.DiscoveryFailure):
            with mock.patch.object(
                    cloudkitty_api.ksa_loading,
                    'load_adapter_from_conf_options', side_effect=error):
                self.assertRaisesRegex(
                    errors.Unavailable, 'auth_url', cloudkitty_api.connect,
                    configured(auth_type='none'))

    def test_an_address_that_is_given_is_not_used(self) -> None:
        found = cloudkitty_api.connect(configured(
            auth_type='none', endpoint_override='http://there:8889'))
        self.assertEqual('http://there:8889', found.address)

    def test_the_plug_in_is_not_found(self) -> None:
        self.assertIsInstance(targets.load('cloudkitty'), targets.Service)
        self.assertEqual('kWh', cloudkitty_points.UNIT)



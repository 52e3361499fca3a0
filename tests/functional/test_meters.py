# SPDX-License-Identifier: Apache-2.0
"""Sites, meters and readings on every database."""

from __future__ import annotations

import concurrent.futures
import random
import threading
import unittest
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from energy_accounting import errors, units
from energy_accounting.facility import (
    batches,
    meter_amounts,
    meter_events,
    meters,
    models,
    quantities,
    readings,
)
from energy_accounting.facility.batches import Given
from energy_accounting.ledger import audit, engine, register, sites
from energy_accounting.ledger import models as ledger
from tests.functional import base

HOUR = 3600 * units.NS_PER_S
QUARTER = units.BUCKET_NS
KWH = units.UJ_PER_KWH
OPERATOR = audit.Actor('an operator')
COUNTER = {'medium': 'electricity', 'role': 'dc_total', 'unit': 'kWh',
           'kind': 'cumulative'}
BILLED = {**COUNTER, 'kind': 'interval'}


def by(at_ns: int = 10 ** 18) -> audit.By:
    return audit.By(OPERATOR, at_ns)


def hourly(*values: str, first: int = 0) -> list[Given]:
    return [Given((first + hour) * HOUR, value)
            for hour, value in enumerate(values)]


class Case(unittest.TestCase):
    """One database for the tests of a class, empty before each of them."""

    new_database: Callable[[], engine.Database]
    _owner: Any
    database: engine.Database

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._owner = cls('setUp')
        cls.addClassCleanup(cls._owner.doCleanups)
        cls.database = cls._owner.new_database()

    def setUp(self) -> None:
        super().setUp()
        with self.database.writer() as connection:
            for table in (models.meter_terms, models.readings,
                          models.meter_events, ledger.audit,
                          ledger.pasts):
                connection.execute(sa.delete(table))
            # One after the other, because of their parents.
            connection.execute(sa.update(models.meters).values(
                parent_id=None))
            connection.execute(sa.delete(models.meters))
            connection.execute(sa.delete(ledger.hosts))
            connection.execute(sa.delete(ledger.sites).where(
                ledger.sites.c.id != ledger.DEFAULT_SITE))
        self.write(sites.create, by(), 'berlin', {})

    def write(self, *words: Any, **more: Any) -> Any:
        return self.database.write(*words, **more)

    def make(self, name: str = 'grid', site: str = 'berlin',
             **given: Any) -> None:
        self.write(meters.create, by(10), name, site, {**COUNTER, **given})

    def add(self, batch: list[Given], name: str = 'grid',
            at_ns: int = 10 ** 18, **more: Any) -> batches.Outcome:
        return self.write(batches.add, by(at_ns), name, batch, 'api', **more)

    def kept(self, name: str = 'grid', **more: Any) -> list[tuple[int, str]]:
        with self.database.reader() as connection:
            meter = meters.found(connection, name)
            return [(one.at_ns // HOUR, one.value) for one in readings.page(
                connection, meter.id, **more)]

    def refused(self, error: type, words: str, *call: Any,
                **more: Any) -> None:
        with self.assertRaises(error) as found:
            self.write(*call, **more)
        self.assertIn(words, str(found.exception))

    def changes(self, kind: str) -> list[audit.Entry]:
        with self.database.reader() as connection:
            return audit.read(connection, kind=kind)


@base.on(*base.EVERY)
class TestSites(Case):

    def site(self, name: str) -> sites.Site:
        with self.database.reader() as connection:
            return sites.found(connection, name)

    def test_a_site_cannot_be_made_or_changed(self) -> None:
        self.write(sites.create, by(), 'munich', {
            'region': 'south', 'time_zone': 'Europe/Berlin'})
        self.write(sites.change, by(), 'munich', {
            'grid_zone': 'DE', 'region': 'south'})
        self.assertEqual(sites.Site('munich', 'south', 'Europe/Berlin', 'DE',
                                    None),
                         self.site('munich'))
        self.assertEqual(
            [({'grid_zone': None}, {'grid_zone': 'DE'}),
             (None, {'region': 'south', 'time_zone': 'Europe/Berlin',
                     'grid_zone': None, 'factor_basis': None})],
            [(one.was, one.became) for one in self.changes('site')
             if one.subject == 'munich'])
        with self.database.reader() as connection:
            self.assertEqual(['munich'], [
                one.name for one in sites.read(connection, after='default')])
            self.assertEqual(3, sites.count(connection))

    def test_a_site_is_made_twice(self) -> None:
        self.refused(errors.Conflict, 'PATCH /v1/sites/berlin',
                     sites.create, by(), 'berlin', {'region': 'x'})
        self.assertEqual(sites.Site('berlin', None, 'UTC', None, None),
                         self.site('berlin'))

    def test_a_time_zone_is_none(self) -> None:
        self.refused(errors.InvalidRequest, 'time_zone', sites.change, by(),
                     'berlin', {'time_zone': 'Mars/Olympus'})
        self.refused(errors.NotFound, 'no site', sites.change, by(),
                     'bonn', {})

    def test_a_host_and_an_operator_make_two_sites(self) -> None:
        self.write(register.enrol, by(), 'compute-1', {
            'site': 'bonn', 'region': 'west'})
        self.assertEqual('west', self.site('bonn').region)
        self.refused(errors.Conflict, 'there is a site', sites.create, by(),
                     'bonn', {})


@base.on(*base.EVERY)
class TestMeters(Case):

    def meter(self, called: str = 'grid') -> meters.Meter:
        with self.database.reader() as connection:
            return meters.found(connection, called)

    def refuse(self, words: str, **given: Any) -> None:
        self.refused(errors.InvalidRequest, words, meters.create, by(),
                     'other', 'berlin', {**COUNTER, **given})

    def test_a_meter_is_not_what_was_said_of_it(self) -> None:
        self.make(rollover='1000000', max_rate='500', serial='4711',
                  accuracy_class='0.5S', calibrated_until_ns=5,
                  section='hall 1')
        self.make('sub', parent='grid', role='it_ups_out')
        self.write(register.enrol, by(), 'compute-1', {'site': 'berlin'})
        self.make('bmc', role='node', host='compute-1', kind='gauge',
                  unit='W', source='prometheus', source_ref='watts')
        grid, sub, bmc = map(self.meter, ('grid', 'sub', 'bmc'))
        self.assertEqual(('1000000', '500', '4711', '0.5S', 5, 'hall 1'), (
            grid.rollover, grid.max_rate, grid.serial, grid.accuracy_class,
            grid.calibrated_until_ns, grid.section))
        self.assertEqual(('grid', 'compute-1', 'watts'), (
            sub.parent, bmc.host, bmc.source_ref))
        self.assertEqual(grid, self.meter(str(grid.id)))
        self.assertEqual('berlin', self.changes('meter')[-1].became['site'])

    def test_a_meter_is_found_by_what_it_is_not(self) -> None:
        self.make()
        self.make('water', medium='water', role='water_in', unit='m3')
        self.make('sub', role='it_ups_out')
        with self.database.reader() as connection:
            for words, names in (
                    ({'site': 'berlin'}, ['grid', 'sub', 'water']),
                    ({'site': 'default'}, []),
                    ({'roles': ['dc_total', 'water_in']}, ['grid', 'water']),
                    ({'medium': 'water'}, ['water'])):
                self.assertEqual(names, [
                    one.name for one in meters.read(connection, **words)])
                self.assertEqual(len(names), meters.count(connection,
                                                          **words))
            self.assertEqual(['sub'], [one.name for one in meters.read(
                connection, after='grid', limit=1)])

    def test_a_meter_that_makes_no_sense_is_made(self) -> None:
        self.make()
        self.write(sites.create, by(), 'munich', {})
        self.make('far', 'munich')
        self.refuse('unit', unit='m3')
        self.refuse('unit', kind='gauge')
        self.refuse('medium', medium='water', unit='m3')
        self.refuse('rollover', kind='interval', rollover='5')
        self.refuse('host: a meter of role node', role='node')
        self.refuse('host: a meter of role dc_total', host='compute-1')
        self.refuse('host: there is no host', role='node', host='none')
        self.refuse('parent: there is no meter', parent='none')
        self.refuse('one site', parent='far')
        self.refuse('removed_at', installed_ns=5, removed_ns=5)
        self.refuse('source_ref', source='prometheus')
        self.refuse('terms', terms={'grid': 1})
        self.refuse('terms', kind='virtual')
        self.refuse('one site', kind='virtual', terms={'far': 1})
        self.refuse('max_rate', kind='virtual', terms={'grid': 1},
                    max_rate='5')
        self.make('sum', kind='virtual', terms={'grid': 1})
        self.refuse('is virtual itself', kind='virtual', terms={'sum': 1})
        self.refuse('added', kind='virtual', terms={'grid': 1},
                    medium='water', role='water_in', unit='m3')
        self.make('near')
        for change in ({'kind': 'virtual', 'terms': {'near': 1}},
                       {'medium': 'water', 'role': 'water_in',
                        'unit': 'm3'}):
            self.refused(errors.InvalidRequest, 'part of a virtual one',
                         meters.change, by(), 'grid', change)
        self.refused(errors.Conflict, 'there is a meter', meters.create,
                     by(), 'grid', 'munich', COUNTER)
        self.refused(errors.NotFound, 'no site', meters.create, by(), 'x',
                     'bonn', COUNTER)
        self.refused(errors.NotFound, 'no meter', meters.change, by(),
                     '999', {})

    def test_parents_go_round_in_a_circle(self) -> None:
        self.make('a')
        self.make('b', parent='a')
        self.make('c', parent='b')
        for parent in ('a', 'c'):
            self.refused(errors.InvalidRequest, 'itself below', meters.change,
                         by(), 'a', {'parent': parent})
        self.write(meters.change, by(), 'c', {'parent': 'a'})

    def test_two_make_a_circle_at_once(self) -> None:
        for name in ('a', 'b'):
            self.make(name)
        for _ in range(5):
            for name in ('a', 'b'):
                self.write(meters.change, by(), name, {'parent': None})
            start = threading.Barrier(2)

            def turn(pair: tuple[str, str],
                     start: threading.Barrier = start) -> bool:
                start.wait()
                try:
                    self.write(meters.change, by(), pair[0],
                               {'parent': pair[1]})
                except errors.InvalidRequest:
                    return False
                return True

            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                done = list(pool.map(turn, (('a', 'b'), ('b', 'a'))))
            self.assertEqual([False, True], sorted(done))

    def test_readings_are_made_to_say_another_thing(self) -> None:
        self.make()
        self.write(meters.change, by(), 'grid', {'unit': 'MWh'})
        self.add(hourly('1'))
        for field, value in (('unit', 'kWh'), ('kind', 'interval')):
            self.refused(errors.Conflict, 'removed_at', meters.change, by(),
                         'grid', {field: value})
        self.write(meters.change, by(), 'grid', {
            'unit': 'MWh', 'max_rate': '5', 'removed_ns': 7})
        self.assertEqual(('MWh', '5', 7), (
            self.meter().unit, self.meter().max_rate,
            self.meter().removed_ns))
        self.assertEqual(
            ({'max_rate': None, 'removed_ns': None},
             {'max_rate': '5', 'removed_ns': 7}),
            (self.changes('meter')[0].was, self.changes('meter')[0].became))

    def test_a_virtual_meter_keeps_terms_it_has_not(self) -> None:
        for name in ('a', 'b'):
            self.make(name)
        self.make('sum', kind='virtual', terms={'a': 1, 'b': -1})
        self.assertEqual((('a', 1), ('b', -1)), self.meter('sum').terms)
        self.write(meters.change, by(), 'sum', {'terms': {'b': 1}})
        self.assertEqual((('b', 1),), self.meter('sum').terms)


@base.on(*base.EVERY)
class TestReadings(Case):

    def setUp(self) -> None:
        super().setUp()
        self.make()

    def test_a_batch_that_is_sent_twice_is_kept_twice(self) -> None:
        batch = hourly('1', '2', '3')
        self.assertEqual((3, 0, 0), self.add(batch))
        self.assertEqual((0, 0, 3), self.add(hourly('1.0', '2', '3.00')))
        self.assertEqual((1, 0, 3), self.add([*batch, *hourly(
            '4', first=3)]))
        self.assertEqual([(0, '1'), (1, '2'), (2, '3'), (3, '4')],
                         self.kept(superseded=True))
        # What changed nothing is no act.
        self.assertEqual(2, len(self.changes('reading')))

    def test_another_value_takes_the_place_of_the_first(self) -> None:
        self.add(hourly('1', '2'))
        self.refused(errors.Conflict, 'readings.1.at: 1970-01-01T01:00:00Z',
                     batches.add, by(), 'grid', hourly('1', '5', '6'), 'api')
        self.assertEqual([(0, '1'), (1, '2')], self.kept())

    def test_a_batch_is_kept_in_part(self) -> None:
        for wrong in (Given(5 * HOUR, '-1'), Given(5 * HOUR, 'x'),
                      Given(5 * HOUR, '1', start_ns=0), Given(0, '7'),
                      Given(9 * HOUR, None)):
            self.refused(errors.EnergyAccountingError, 'readings.2',
                         batches.add, by(), 'grid',
                         [*hourly('1', '2'), wrong], 'api')
            self.assertEqual([], self.kept(superseded=True))

    def test_a_correction_forgets_what_it_corrects(self) -> None:
        self.add(hourly('1', '2'), at_ns=100)
        self.assertEqual((1, 1, 1), self.add(
            hourly('1', '5', '6'), at_ns=200, correct=True))
        for as_of_ns, known in (
                (99, []), (100, ['1', '2']), (199, ['1', '2']),
                (200, ['1', '5', '6']), (None, ['1', '5', '6'])):
            self.assertEqual(known, [value for _, value in self.kept(
                as_of_ns=as_of_ns)], as_of_ns)
        self.assertEqual(['1', '2', '5', '6'], [
            value for _, value in self.kept(superseded=True)])
        entry = self.changes('reading')[0]
        self.assertEqual({'values': {'1970-01-01T01:00:00Z': '2'}}, entry.was)
        self.assertEqual(
            (1, 1, {'1970-01-01T01:00:00Z': '5'}),
            (entry.became['added'], entry.became['corrected'],
             entry.became['values']))

    def test_what_is_taken_back_still_counts(self) -> None:
        self.add(hourly('1', '2'), at_ns=100)
        self.add([Given(HOUR, None)], at_ns=200, correct=True)
        self.assertEqual([(0, '1')], self.kept())
        self.assertEqual([(0, '1'), (1, '2')], self.kept(as_of_ns=199))
        self.refused(errors.Conflict, 'take back', batches.add, by(),
                     'grid', [Given(HOUR, None)], 'api', correct=True)

    def test_a_reading_of_a_meter_that_was_not_there_is_kept(self) -> None:
        self.write(meters.change, by(), 'grid', {
            'installed_ns': 2 * HOUR, 'removed_ns': 3 * HOUR})
        self.add(hourly('1', '2', first=2))
        for hour, words in ((1, 'installed'), (4, 'removed')):
            self.refused(errors.InvalidRequest, words, batches.add, by(),
                         'grid', hourly('1', first=hour), 'api')

    def test_a_value_beyond_the_rollover_is_kept(self) -> None:
        self.write(meters.change, by(), 'grid', {'rollover': '100'})
        self.add(hourly('99.999'))
        self.refused(errors.InvalidRequest, 'rollover', batches.add, by(),
                     'grid', hourly('100', first=1), 'api')

    def test_more_than_a_batch_is_kept(self) -> None:
        self.refused(errors.InvalidRequest, 'at most 100000', batches.add,
                     by(), 'grid', [Given(0, '1')] * (1 + batches.MAX_BATCH),
                     'api')

    def test_a_virtual_meter_has_readings(self) -> None:
        self.make('sum', kind='virtual', terms={'grid': 1})
        self.refused(errors.Conflict, 'send those of grid', batches.add,
                     by(), 'sum', hourly('1'), 'api')

    def test_a_time_is_billed_twice(self) -> None:
        self.make('bill', **BILLED)

        def bill(first: int, last: int, value: str | None = '1') -> Given:
            return Given(last * HOUR, value, 'measured', first * HOUR)

        def refuse(*batch: Given, **more: Any) -> None:
            before = self.kept('bill')
            self.refused(errors.Conflict, 'overlaps', batches.add, by(),
                         'bill', list(batch), 'api', **more)
            self.assertEqual(before, self.kept('bill'))

        self.add([bill(10, 20), bill(20, 30)], 'bill')
        refuse(bill(12, 15))
        refuse(bill(5, 11))
        refuse(bill(5, 45))
        refuse(bill(29, 31))
        refuse(bill(40, 50), bill(49, 60))
        refuse(bill(9, 20), bill(5, 10), correct=True)
        self.add([bill(12, 20)], 'bill', correct=True)
        self.add([bill(10, 12), bill(30, 40)], 'bill')
        self.add([bill(12, 20, None), bill(20, 30, None)], 'bill',
                 correct=True)
        self.add([bill(12, 30)], 'bill')
        self.refused(errors.InvalidRequest, 'readings.0.start', batches.add,
                     by(), 'bill', [Given(5, '1')], 'api')
        self.refused(errors.InvalidRequest, 'readings.0.start', batches.add,
                     by(), 'bill', [Given(5, '1', 'measured', 5)], 'api')

    def test_pages_leave_a_reading_out_or_show_it_twice(self) -> None:
        self.add(hourly('1', '2', '3', '4'), at_ns=100)
        self.add(hourly('9', first=1), at_ns=200, correct=True)
        with self.database.reader() as connection:
            meter = meters.found(connection, 'grid')
            seen: list[readings.Kept] = []
            while True:
                page = readings.page(
                    connection, meter.id, superseded=True, limit=2,
                    after=(seen[-1].at_ns, seen[-1].id) if seen else None)
                if not page:
                    break
                seen += page
            self.assertEqual(['1', '2', '9', '3', '4'],
                             [one.value for one in seen])
            self.assertEqual(5, readings.count(connection, meter.id,
                                               superseded=True))
            self.assertEqual(4, readings.count(connection, meter.id))
            self.assertEqual(2, readings.count(
                connection, meter.id, start_ns=HOUR, end_ns=3 * HOUR))
            last = readings.last(connection, meter.id)
            assert last is not None
            self.assertEqual('4', last.value)

    def test_two_writers_keep_one_moment_twice(self) -> None:
        for turn in range(5):
            start = threading.Barrier(4)

            def send(writer: int, turn: int = turn,
                     start: threading.Barrier = start) -> str:
                start.wait()
                try:
                    self.add(hourly('1', str(writer), first=2 * turn))
                except errors.Conflict:
                    return 'conflict'
                return 'kept'

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                done = sorted(pool.map(send, (7, 7, 8, 9)))
            # The two that say the same are one.
            self.assertIn(done.count('kept'), (1, 2))
            self.assertEqual(2 * turn + 2, len(self.kept(superseded=True)))

    def test_a_view_of_the_past_changes(self) -> None:
        """Whatever is sent, each moment's view stays what it was."""
        chance = random.Random(1)
        known: dict[int, str] = {}
        views = [known]
        for number in range(1, 16):
            batch = {hour: chance.choice('123')
                     for hour in chance.sample(range(6), 3)}
            correct = chance.random() < 0.6
            differs = any(known.get(hour, value) != value
                          for hour, value in batch.items())
            try:
                self.add([Given(hour * HOUR, value)
                          for hour, value in batch.items()],
                         at_ns=number, correct=correct)
                self.assertTrue(correct or not differs)
                known = {**known, **batch}
            except errors.Conflict:
                self.assertTrue(differs and not correct)
            views.append(known)
        self.assertGreater(len({str(view) for view in views}), 5)
        for as_of_ns, view in enumerate(views):
            self.assertEqual(view, dict(self.kept(as_of_ns=as_of_ns)))


@base.on(*base.EVERY)
class TestEvents(Case):

    def setUp(self) -> None:
        super().setUp()
        self.make()
        self.add(hourly('100', '20', '25'), at_ns=100)

    def decide(self, kind: str, end_value: str | None = None,
               start_value: str | None = None, at_ns: int = HOUR // 2,
               now_ns: int = 200, name: str = 'grid', **more: Any) -> Any:
        return self.write(meter_events.decide, by(now_ns), name,
                          meter_events.KeptEvent(0, at_ns, kind, end_value,
                                             start_value, 'why', 0, None),
                          **more)

    def said(self, as_of_ns: int = 10 ** 18) -> Any:
        with self.database.reader() as connection:
            return meter_amounts.measured(
                connection, meters.found(connection, 'grid'), None, None,
                as_of_ns)

    def test_a_decision_answers_nothing(self) -> None:
        self.assertEqual(['fall'], [one.kind for one in self.said()
                                    .questions])
        self.decide('exchange', '107', '3')
        self.assertEqual([7 * KWH, 17 * KWH, 5 * KWH],
                         [one.amount for one in self.said().intervals])
        self.assertEqual((), self.said().questions)
        self.assertEqual(1, len(self.said(199).questions))

    def test_a_decision_is_made_twice(self) -> None:
        first, new = self.decide('exchange', '107', '3')
        self.assertTrue(new)
        self.assertEqual((first, False), self.decide('exchange', '107', '3'))
        with self.assertRaises(errors.Conflict):
            self.decide('reset')
        self.decide('reset', now_ns=300, correct=True)
        self.assertEqual(2, len(self.said().gaps))
        self.assertEqual(3, len(self.said(299).intervals))
        entry = self.changes('event')[0]
        self.assertEqual(('exchange', 'reset'), (
            entry.was['kind'], entry.became['kind']))

    def test_a_decision_cannot_be_taken_back(self) -> None:
        event, _ = self.decide('exchange', '107', '3')
        self.write(meter_events.withdraw, by(300), 'grid', event.id)
        self.assertEqual(1, len(self.said().questions))
        self.assertEqual(0, len(self.said(299).questions))
        self.refused(errors.NotFound, 'no event', meter_events.withdraw, by(),
                     'grid', event.id)
        self.assertIsNone(self.changes('event')[0].became)

    def test_a_decision_that_makes_no_sense_is_kept(self) -> None:
        self.make('power', kind='gauge', unit='kW')
        for words, error in (
                (('exchange', 'x'), 'end_value'),
                (('reset', None, '-1'), 'start_value'),
                (('confirmed', '5'), 'end_value'),
                (('rollover',), 'no rollover'),
                (('rollover', '5', '5'), 'above start_value')):
            with self.assertRaisesRegex(errors.InvalidRequest, error):
                self.decide(*words)
        with self.assertRaisesRegex(errors.Conflict, 'no counter'):
            self.decide('reset', name='power')


@base.on(*base.EVERY)
class TestAmounts(Case):

    def amounts(self, *roles: str, start: int = 0, end: int = 8,
                as_of_ns: int = 10 ** 18) -> Any:
        with self.database.reader() as connection:
            return meter_amounts.amounts_of(connection, 'berlin', roles, start,
                                       end, as_of_ns)

    def test_a_range_is_not_the_part_of_the_whole(self) -> None:
        self.make()
        self.add(hourly('0', '1', '3', '6', '10'))
        whole = self.amounts('dc_total', end=16)['dc_total'][0]
        self.assertEqual(10 * KWH, sum(whole.whole.values()))
        for start in (0, 1, 6, 8, 15):
            for end in range(start + 1, 17, 3):
                (part,) = self.amounts('dc_total', start=start,
                                       end=end)['dc_total']
                self.assertEqual({
                    bucket: amount for bucket, amount in whole.whole.items()
                    if start <= bucket < end}, part.whole)

    def test_more_than_the_neighbours_is_read(self) -> None:
        self.make()
        self.add(hourly(*map(str, range(100))))
        with self.database.reader() as connection:
            meter = meters.found(connection, 'grid')
            near = readings.around(connection, meter, 10 * HOUR + 1,
                                   12 * HOUR, 10 ** 18)
            self.assertEqual([10, 11, 12], [
                one.at_ns // HOUR for one in near])
            # Nothing before the first, nothing behind the last.
            self.assertEqual(
                [0, 1], [one.at_ns // HOUR for one in readings.around(
                    connection, meter, -5, HOUR, 10 ** 18)])
            self.assertEqual(
                [98, 99], [one.at_ns // HOUR for one in readings.around(
                    connection, meter, 99 * HOUR - 1, 200 * HOUR,
                    10 ** 18)])

    def test_two_meters_of_a_role_are_one_or_counted_twice(self) -> None:
        self.make('main')
        self.make('sub', parent='main')
        self.make('pv', role='pv_onsite')
        self.make('sum', kind='virtual', terms={'main': 1, 'pv': 1})
        for name, values in (('main', ('0', '8', '16')),
                             ('sub', ('0', '4', '8')),
                             ('pv', ('5', '6', '7'))):
            self.add(hourly(*values), name)
        found = self.amounts('dc_total', 'pv_onsite', 'water_in')
        self.assertEqual([], found['water_in'])
        self.assertEqual(
            [('main', 'sum'), ('sub', 'main'), ('sum', None)],
            [(one.meter.name, one.inside) for one in found['dc_total']])
        total = meter_amounts.together(found['dc_total'], range(8))
        self.assertEqual(18 * KWH, sum(total.values()))

    def test_a_missing_meter_is_taken_for_nothing(self) -> None:
        self.make('a')
        self.make('b', installed_ns=HOUR)
        self.make('gone', removed_ns=0)
        self.add(hourly('0', '4', '8', '12'), 'a')
        self.add(hourly('0', '4', first=1), 'b')
        total = meter_amounts.together(
            self.amounts('dc_total', end=12)['dc_total'], range(12))
        # Before b came a is all there is; after its last reading nobody
        # knows the sum.
        self.assertEqual([*range(8)], sorted(total))
        self.assertEqual(4 * KWH + 8 * KWH, sum(total.values()))

    def test_a_correction_changes_yesterdays_answer(self) -> None:
        self.make()
        self.add(hourly('0', '4'), at_ns=100)
        self.add(hourly('8', first=1), at_ns=200, correct=True)
        for as_of_ns, kwh in ((99, 0), (199, 4), (200, 8)):
            (one,) = self.amounts('dc_total', as_of_ns=as_of_ns)['dc_total']
            self.assertEqual(kwh * KWH, sum(one.whole.values()))

    def test_a_change_of_a_meter_changes_yesterdays_answer(self) -> None:
        self.make('main', rollover='1000', max_rate='100')
        self.make('pv', role='pv_onsite')
        self.make('sum', kind='virtual', terms={'main': 1, 'pv': 1})
        self.add(hourly('0', '8', '16', '990', '20'), 'main', at_ns=100)
        self.add(hourly('5', '6', '7', '8', '9'), 'pv', at_ns=100)
        roles = 'dc_total', 'pv_onsite', 'it_ups_out'
        whole = {name: self.amounts(*roles, end=16, as_of_ns=moment)
                 for name, moment in (('before', 9), ('then', 199))}
        self.assertEqual([], whole['before']['dc_total'])
        for place, (name, change) in enumerate((
                ('main', {'role': 'it_ups_out'}), ('main', {'rollover': None}),
                ('sum', {'terms': {'pv': 1}}), ('pv', {'removed_ns': HOUR}),
                ('main', {'parent': 'pv'}), ('main', {'role': 'dc_total'}))):
            self.write(meters.change, by(200 + place), name, change)
        self.write(meters.create, by(210), 'late', 'berlin', COUNTER)
        for name, moment in (('before', 9), ('then', 199)):
            self.assertEqual(whole[name], self.amounts(
                *roles, end=16, as_of_ns=moment))
        self.assertEqual(
            (['sum'], ['main', 'sum'], ['main', 'sum']), tuple([
                one.meter.name for one in self.amounts(
                    *roles, as_of_ns=moment)['dc_total']
                if one.meter.name != 'late']
                for moment in (204, 205, 10 ** 18)))
        self.assertNotEqual(whole['then']['dc_total'][-1], self.amounts(
            *roles, end=16, as_of_ns=201)['dc_total'][-1])

    def test_what_nobody_has_decided_about_is_energy(self) -> None:
        self.make()
        self.add(hourly('9', '4', '5'))
        (one,) = self.amounts('dc_total')['dc_total']
        self.assertEqual([4, 5, 6, 7], sorted(one.whole))

    def test_water_is_energy(self) -> None:
        self.make('w', medium='water', role='water_in', unit='m3',
                  kind='interval')
        self.add([Given(HOUR, '2', quantities.ESTIMATED, 0)], 'w')
        (one,) = self.amounts('water_in')['water_in']
        self.assertEqual(dict.fromkeys(range(4), 500_000), one.whole)

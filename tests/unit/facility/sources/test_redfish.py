# SPDX-License-Identifier: Apache-2.0
"""Redfish services of all kinds, and of none, over real sockets."""

from __future__ import annotations

import base64
import email.utils
import json
import logging
import socket
import ssl
import threading
import time
import unittest
from collections.abc import Callable
from typing import Any

from energy_accounting import units
from energy_accounting.facility import (
    batches,
    meter_events,
    meters,
    readings,
    sources,
)
from energy_accounting.facility.sources import (
    credentials,
    properties,
    redfish,
    service,
)
from tests.unit.facility import http
from tests.unit.facility.sources import answers

USER, SECRET = 'energy', 't0p5ecret'
RIGHT = 'Basic ' + base64.b64encode(f'{USER}:{SECRET}'.encode()).decode()
S = units.NS_PER_S
# Now, of the service and of us.
NOW_NS = 1_790_000_000 * S
ENERGY = {'EnergykWh': {'Reading': 12, 'LifetimeReading': 325675.125}}


def iso(at_ns: int) -> str:
    return units.iso(units.moment(at_ns))


def kept(at_ns: int, value: str) -> readings.Kept:
    return readings.Kept(1, at_ns, None, value, 'measured', 'redfish', at_ns,
                         None)


class Bmc:
    """A service of recorded answers.

    :ivar resources: the body of each path, or what answers itself.
    """

    def __init__(self, test: unittest.TestCase, resources: dict[str, Any],
                 date_ns: int | None = NOW_NS) -> None:
        self.resources = resources
        self.date_ns = date_ns
        self.server = http.Server(test, self.answer)
        self.url = self.server.url

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.server.asked]

    def answer(self, handler: http.Handler) -> None:
        if handler.headers.get('Authorization') != RIGHT:
            return self.say(handler, {}, 401)
        found = self.resources.get(handler.path)
        if callable(found):
            return found(handler)
        return self.say(handler, found or {}, 200 if found else 404)

    def say(self, handler: http.Handler, body: Any, status: int = 200,
            **headers: str) -> None:
        date_ns = self.date_ns
        # The library's own Date header is not ours to choose.
        handler.date_time_string = (  # type: ignore[method-assign]
            lambda timestamp=None: '' if date_ns is None
            else email.utils.formatdate(date_ns // S, usegmt=True))
        handler.json(body, status, **headers)


class Case(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        self.now_ns = NOW_NS

    def source(self, *urls: str, auth: str = credentials.BASIC,
               password: str = SECRET, workers: int = 4,
               **manner: Any) -> redfish.Redfish:
        entries = []
        for url in urls:
            found = redfish.addresses.parsed(url)
            entries.append(credentials._Entry(
                found.origin, found.path, credentials.Credential(
                    USER, password, auth)))
        return redfish.Redfish(
            credentials.Credentials(entries), service.Manner(
                ssl.create_default_context(), clock=lambda: self.now_ns,
                **{'timeout': 5.0, **manner}), workers)

    def asked(self, source_ref: str, last: readings.Kept | None = None,
              name: str = 'node-1', **given: Any) -> sources.Asked:
        return sources.Asked(meters.Meter(**{
            'id': 1, 'name': name, 'site': 'default', 'section': None,
            'medium': 'electricity', 'role': 'node', 'unit': 'kWh',
            'kind': 'cumulative', 'rollover': None, 'max_rate': None,
            'serial': None, 'accuracy_class': None,
            'calibrated_until_ns': None, 'installed_ns': None,
            'removed_ns': None, 'source': 'redfish',
            'source_ref': source_ref, 'host': 'one', 'parent': None,
            **given}), last)

    def read(self, resources: dict[str, Any], path: str = answers.CHASSIS,
             last: readings.Kept | None = None, date_ns: int | None = NOW_NS,
             **given: Any) -> sources.Found:
        self.bmc = Bmc(self, resources, date_ns)
        (found,) = self.source(self.bmc.url).read([
            self.asked(self.bmc.url + path, last, **given)])
        return found

    def value(self, *words: Any, **more: Any) -> tuple[str, str]:
        """What was read, and of which property from now on."""
        found = self.read(*words, **more)
        self.assertIsNone(found.failure)
        (given,) = found.batch
        return str(given.value), str(found.source_ref).removeprefix(
            self.bmc.url + answers.CHASSIS)

    def failure(self, *words: Any, **more: Any) -> str:
        found = self.read(*words, **more)
        self.assertEqual((), found.batch)
        self.assertIsNone(found.source_ref)
        return str(found.failure)


class WhichTest(Case):

    def test_a_worse_property_is_read_than_there_is(self) -> None:
        own = answers.environment(**ENERGY, PowerWatts={'Reading': 374})
        self.assertEqual(
            ('325675.125', '/EnvironmentMetrics#/EnergykWh/LifetimeReading'),
            self.value(own))
        self.assertEqual(
            ('12', '/EnvironmentMetrics#/EnergykWh/Reading'),
            self.value(answers.environment(EnergykWh={'Reading': 12})))
        self.assertEqual(
            ('374', '/EnvironmentMetrics#/PowerWatts/Reading'),
            self.value(own, kind='gauge', unit='W'))
        self.assertEqual(
            ('45', '/EnvironmentMetrics#/EnergyJoules/Reading'),
            self.value(answers.environment(
                **ENERGY, EnergyJoules={'Reading': 45}), unit='J'))

    def test_the_sensor_behind_an_excerpt_is_forgotten(self) -> None:
        body = answers.environment(EnergykWh={
            'Reading': 12, 'DataSourceUri': f'{answers.SENSORS}/Energy'})
        self.assertEqual(
            ('999.5', '/Sensors/Energy#/LifetimeReading'),
            self.value(answers.together(body, answers.sensor(
                'Energy', Reading=12, LifetimeReading=999.5))))
        for rest in (answers.sensor('Energy', Reading=12), {}):
            self.assertEqual(
                ('12', '/EnvironmentMetrics#/EnergykWh/Reading'),
                self.value(answers.together(body, rest)))

    def test_a_supply_is_left_out_of_the_sum(self) -> None:
        each = [{'EnergykWh': {'Reading': 0.1}, 'InputPowerWatts': {
            'Reading': 180.5}}, None, {'EnergykWh': {'Reading': 0.2},
                                       'InputPowerWatts': {'Reading': 20}}]
        body = answers.supplies(*each)
        where = '/PowerSubsystem/PowerSupplies#'
        self.assertEqual(('0.3', f'{where}/EnergykWh/Reading'),
                         self.value(body, max_rate='2'))
        self.assertEqual(
            ('200.5', f'{where}/InputPowerWatts/Reading'),
            self.value(body, kind='gauge', unit='W'))
        # Nor is a part of a sum taken for the whole.
        ref = f'{answers.SUPPLIES}#/EnergykWh/Reading'
        for broken in ({'EnergykWh': {'Reading': None}}, {}):
            self.assertTrue(self.failure(answers.supplies(
                each[0], broken), ref, max_rate='2'))
        body = answers.supplies(*each)
        del body[f'{answers.SUPPLIES}/Bay3/Metrics']
        self.assertIn('404', self.failure(body, ref, max_rate='2'))

    def test_the_counter_of_an_exchanged_supply_is_energy(self) -> None:
        body = answers.supplies({'EnergykWh': {'Reading': 1}},
                                {'EnergykWh': {'Reading': 2}})
        self.assertIn('set max_rate', self.failure(body))
        # One alone falls where it is exchanged for a newer one.
        self.assertEqual('1', self.value(answers.supplies(
            {'EnergykWh': {'Reading': 1}}))[0])

    def test_the_older_resource_is_not_understood(self) -> None:
        body = answers.power({'PowerConsumedWatts': 344, 'PowerMetrics': {
            'IntervalInMin': 30, 'AverageConsumedWatts': 319}})
        self.assertEqual(
            ('344', '/Power#/PowerControl/0/PowerConsumedWatts'),
            self.value(body, kind='gauge', unit='W'))
        self.assertEqual(
            (str(319 * 1800),
             '/Power#/PowerControl/0/PowerMetrics/AverageConsumedWatts'),
            self.value(body, kind='interval', unit='J'))
        two = answers.power({'Name': 'System', 'PowerConsumedWatts': 344},
                            {'Name': 'CPU', 'PowerConsumedWatts': 90})
        self.assertIn('set source_ref', self.failure(
            two, kind='gauge', unit='W'))
        self.assertEqual('344', self.value(
            two, f'{answers.POWER}#/PowerControl/0/PowerConsumedWatts',
            kind='gauge', unit='W')[0])

    def test_a_meter_of_another_kind_gets_the_value(self) -> None:
        power = answers.environment(PowerWatts={'Reading': 374})
        self.assertIn('#/PowerWatts/Reading (kind gauge, unit W)',
                      self.failure(power))
        self.assertIn('make the meter of such a kind and unit', self.failure(
            answers.environment(**ENERGY), unit='MWh'))
        self.assertIn(
            'is of kind gauge, unit W, the meter of kind cumulative',
            self.failure(power,
                         f'{answers.ENVIRONMENT}#/PowerWatts/Reading'))
        self.assertIn('nothing of energy', self.failure(answers.chassis()))

    def test_another_property_is_taken_when_one_has_no_value(self) -> None:
        lifetime = f'{answers.ENVIRONMENT}#/EnergykWh/LifetimeReading'
        rest = {'EnergyJoules': {'LifetimeReading': 5},
                'PowerWatts': {'Reading': 3}}
        for energy, words in (({'Reading': 5, 'LifetimeReading': None},
                               'null'), (None, 'null'), ({}, 'any more')):
            body = answers.environment(EnergykWh=energy, **rest)
            self.assertIn(words, self.failure(body, lifetime))
            if energy != {}:
                self.assertIn('null', self.failure(body))

    def test_a_failure_makes_the_next_best_the_one_that_is_kept(
            self) -> None:
        body = answers.together(
            answers.environment(**ENERGY),
            answers.supplies({'EnergykWh': {'Reading': 5}}))
        body[answers.ENVIRONMENT] = lambda handler: handler.json({}, 503)
        self.assertIn('503', self.failure(body))
        del body[answers.ENVIRONMENT]
        self.assertEqual('5', self.value(body)[0])

    def test_a_kept_property_is_looked_for_again(self) -> None:
        ref = f'{answers.ENVIRONMENT}#/EnergykWh/LifetimeReading'
        found = self.read(answers.environment(**ENERGY), ref)
        self.assertIsNone(found.source_ref)
        self.assertEqual([answers.ENVIRONMENT], self.bmc.paths)

    def test_a_digit_is_lost(self) -> None:
        for text, value in (('325675.123456789012345', None),
                            ('0.1', None), ('1E+3', '1000'), ('0', None),
                            ('100', None), ('1.50', '1.5'),
                            ('0.30000000000000004', '0.3')):
            body = answers.environment()
            raw = (json.dumps(body[answers.ENVIRONMENT])[:-1]
                   + f', "EnergykWh": {{"LifetimeReading": {text}}}}}')
            body[answers.ENVIRONMENT] = (
                lambda handler, raw=raw: handler.raw(raw.encode()))
            self.assertEqual(value or text, self.value(body)[0])


class WhenTest(Case):

    def when(self, *, date_ns: int | None = NOW_NS,
             **excerpt: Any) -> tuple[int, str]:
        found = self.read(answers.together(answers.environment(), (
            answers.sensor('Energy', LifetimeReading=7, **excerpt))),
            f'{answers.SENSORS}/Energy', date_ns=date_ns)
        self.assertIsNone(found.failure)
        return found.batch[0].at_ns, found.said.rpartition('(')[2][:-1]

    def test_the_time_of_a_reading_is_that_of_a_wrong_clock(self) -> None:
        self.assertEqual((NOW_NS, 'its clock'), self.when())
        self.assertEqual((NOW_NS - 2 * S, 'its clock'),
                         self.when(date_ns=NOW_NS - 2 * S))
        for wrong_ns in (NOW_NS - 60 * S, NOW_NS + 60 * S, 0):
            self.assertEqual((NOW_NS, 'our clock'),
                             self.when(date_ns=wrong_ns))
            self.assertEqual(
                (NOW_NS, 'our clock'),
                self.when(date_ns=wrong_ns, ReadingTime=iso(wrong_ns)))
        self.assertEqual((NOW_NS, 'our clock'), self.when(date_ns=None))

    def test_a_reading_is_said_to_be_newer_than_it_is(self) -> None:
        read_ns = NOW_NS - 42 * S
        for date_ns in (NOW_NS, None):
            self.assertEqual(
                (read_ns, 'its ReadingTime'),
                self.when(date_ns=date_ns, ReadingTime=iso(read_ns)))
        self.assertEqual((NOW_NS, 'its clock'), self.when(
            ReadingTime=iso(NOW_NS + 3600 * S)))
        self.assertEqual((NOW_NS, 'our clock'), self.when(
            date_ns=None, ReadingTime='1970-01-01T00:00:00Z'))
        self.assertEqual((NOW_NS, 'its clock'), self.when(
            ReadingTime='2026-09-21T10:00:00'))

    def test_ours_is_not_the_middle_of_the_request(self) -> None:
        answer = service.Answer('/', {}, NOW_NS, NOW_NS + 3 * S, None)
        self.assertEqual((NOW_NS + 1_500_000_000, 'our clock'),
                         redfish.when(answer, None))

    def test_the_same_reading_is_recorded_twice(self) -> None:
        body = answers.together(answers.environment(), answers.sensor(
            'Energy', LifetimeReading=7, ReadingTime=iso(NOW_NS - 9 * S)))
        found = self.read(body, f'{answers.SENSORS}/Energy',
                          kept(NOW_NS - 9 * S, '7'))
        self.assertEqual((None, ()), (found.failure, found.batch))
        self.assertIn('nothing newer', found.said)

    def test_a_service_that_does_not_measure_any_more_is_believed(
            self) -> None:
        old_ns = NOW_NS - 2 * 3600 * S
        self.assertIn('does not measure', self.failure(
            answers.together(answers.environment(), answers.sensor(
                'Energy', LifetimeReading=7, ReadingTime=iso(old_ns))),
            f'{answers.SENSORS}/Energy', kept(old_ns, '7')))


class ResetTest(Case):

    def event(self, reading: float, reset_ns: int | None, last: str = '500',
              **more: Any) -> tuple[meter_events.KeptEvent | None, str]:
        found = self.read(answers.environment(EnergykWh={
            'Reading': reading, **({} if reset_ns is None else {
                'SensorResetTime': iso(reset_ns)})}),
            last=kept(NOW_NS - 900 * S, last), **more)
        self.assertEqual(1, len(found.batch))
        return found.event, found.said

    def test_a_reset_that_is_said_is_left_to_an_operator(self) -> None:
        reset_ns = NOW_NS - 300 * S
        # Also where it has counted more since than it had before.
        for reading in (0.25, 600):
            event, said = self.event(reading, reset_ns)
            assert event is not None
            self.assertEqual((reset_ns, 'reset', None, '0'), (
                event.at_ns, event.kind, event.end_value,
                event.start_value))
            self.assertIn('recorded as a reset', said)

    def test_a_fall_that_nobody_explains_is_taken_for_a_reset(self) -> None:
        for reset_ns, more in (
                (None, {}), (NOW_NS - 9999 * S, {}), (NOW_NS + 60 * S, {}),
                (NOW_NS - 300 * S, {'date_ns': NOW_NS - 3600 * S})):
            event, said = self.event(0.25, reset_ns, **more)
            self.assertIsNone(event)
            self.assertIn('fell from 500', said)

    def test_a_reset_is_seen_where_there_was_none(self) -> None:
        # Before the last reading, by a clock that is 2 s ahead.
        event, _ = self.event(501, NOW_NS - 898 * S)
        self.assertIsNone(event)
        found = self.read(answers.environment(EnergykWh={
            'LifetimeReading': 501, 'SensorResetTime': iso(
                NOW_NS - 300 * S)}), last=kept(NOW_NS - 900 * S, '500'))
        self.assertIsNone(found.event)


class MeanTest(Case):

    def given(self, ago: int | None) -> batches.Given:
        found = self.read(
            answers.power({'PowerMetrics': {'IntervalInMin': 30,
                                            'AverageConsumedWatts': 300.5}}),
            last=None if ago is None else kept(NOW_NS - ago * S, '1'),
            kind='interval', unit='J')
        (given,) = found.batch
        return given

    def test_a_time_is_counted_twice_or_said_to_be_measured(self) -> None:
        for ago, length, quality in (
                (None, 1800, 'measured'), (7200, 1800, 'measured'),
                (1800, 1800, 'measured'), (1795, 1795, 'measured'),
                (900, 900, 'estimated')):
            given = self.given(ago)
            assert given.start_ns is not None
            self.assertEqual(
                (NOW_NS - length * S, NOW_NS, quality),
                (given.start_ns, given.at_ns, given.quality), ago)
            self.assertEqual(600 * length + length,
                             float(str(given.value)) * 2)


class ServiceTest(Case):

    def test_a_service_is_asked_without_or_with_a_wrong_user(self) -> None:
        bmc = Bmc(self, answers.environment(**ENERGY))
        ref = bmc.url + answers.CHASSIS
        (found,) = self.source('https://bmc-2').read([self.asked(ref)])
        self.assertIn('no section of [redfish] credentials_file',
                      str(found.failure))
        self.assertEqual([], bmc.paths)
        # Every further try would count towards locking the account.
        wrong = self.source(bmc.url, password='wr0ng')
        found, other = wrong.read([self.asked(ref), self.asked(ref)])
        for one in (found, other):
            self.assertIn('does not accept the user (401)',
                          str(one.failure))
        self.assertEqual([answers.CHASSIS], bmc.paths)

    def test_a_session_is_not_used_or_is_left_open(self) -> None:
        sessions = '/redfish/v1/SessionService/Sessions'
        seen: list[tuple[str, str, str | None]] = []
        bodies: list[Any] = []

        def answer(handler: http.Handler) -> None:
            token = handler.headers.get('X-Auth-Token')
            seen.append((handler.command, handler.path, token))
            if handler.command == 'POST':
                bodies.append(json.loads(handler.rfile.read(
                    int(handler.headers['Content-Length']))))
                handler.json({}, 201, X_Auth_Token='t0ken',
                             Location=f'{sessions}/7')
            elif token == 't0ken':
                handler.json({**answers.environment(**ENERGY)[
                    answers.ENVIRONMENT]})
            else:
                handler.json({}, 401)
        server = http.Server(self, answer)
        (found,) = self.source(server.url, auth='session').read([
            self.asked(server.url + answers.ENVIRONMENT)])
        self.assertIsNone(found.failure)
        self.assertEqual([
            ('POST', sessions, None),
            ('GET', answers.ENVIRONMENT, 't0ken'),
            ('GET', answers.ENVIRONMENT, 't0ken'),
            ('DELETE', f'{sessions}/7', 't0ken')], seen)
        self.assertEqual([{'UserName': USER, 'Password': SECRET}], bodies)
        self.assertFalse(any('authorization' in headers
                             for _, headers in server.asked))

    def test_a_password_goes_to_another_host(self) -> None:
        other = Bmc(self, answers.environment(**ENERGY))
        for where in (f'{other.url}{answers.CHASSIS}',
                      f'//{other.url[7:]}/x', 'file:///etc/passwd'):
            body = answers.environment(**ENERGY)
            body[answers.CHASSIS] = (
                lambda handler, where=where: handler.json(
                    {}, 307, Location=where))
            self.assertIn('another host', self.failure(body))
            body[answers.CHASSIS] = {'EnvironmentMetrics': {
                '@odata.id': where}}
            self.assertIn('another host', self.failure(body))
        self.assertEqual([], other.paths)

    def test_a_redirect_within_the_service_is_refused(self) -> None:
        body = answers.environment(**ENERGY)
        body['/redfish/v1/Chassis/Self'] = (
            lambda handler: handler.json({}, 308, Location=answers.CHASSIS))
        self.assertEqual('325675.125', self.value(
            body, '/redfish/v1/Chassis/Self')[0])
        body[answers.CHASSIS] = body['/redfish/v1/Chassis/Self']
        self.assertIn('in circles', self.failure(body))

    def test_an_answer_that_is_none_is_used(self) -> None:
        whole = json.dumps({'EnergykWh': {'Reading': 12}}).encode()

        def says(body: bytes, status: int = 200, **more: Any,
                 ) -> Callable[[http.Handler], None]:
            return lambda handler: handler.raw(body, status, **more)
        for answer, words in (
                (says(b'<html>', Content_Type='text/html'), "'text/html'"),
                (says(b'{"EnergykWh": {"Reading"'), 'not whole JSON'),
                (says(whole, promised=len(whole) + 5), '5 bytes too early'),
                (says(b'[]'), 'not an object'),
                (says(b'{"EnergykWh": {"Reading": NaN}}'), 'NaN'),
                (says(b' ' * 2**20 + whole), 'longer than'),
                (says(b'', 500), 'answers 500'),
                (says(b'', 204), 'answers 204')):
            self.assertIn(words, self.failure({answers.CHASSIS: answer}))

    def test_one_dead_service_delays_the_others(self) -> None:
        dead = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(dead.close)
        urls = [f'http://127.0.0.1:{dead.getsockname()[1]}']
        bmc = Bmc(self, answers.environment(**ENERGY))
        urls.append(bmc.url)
        said = iter(self.source(*urls, timeout=30.0).read([
            self.asked(url + answers.CHASSIS, name=url) for url in urls]))
        started = time.monotonic()
        self.assertEqual((bmc.url, None), (
            (found := next(said)).asked.meter.name, found.failure))
        self.assertLess(time.monotonic() - started, 15)
        # So that nobody waits for the end of its time.
        connection, _ = dead.accept()
        connection.close()
        self.assertIsNotNone(next(said).failure)

    def test_a_drop_at_a_time_takes_for_ever(self) -> None:
        enough = threading.Event()
        self.addCleanup(enough.set)

        def drip(handler: http.Handler) -> None:
            while not enough.wait(0.1):
                handler.wfile.write(b'X-A: b\r\n' if handler.path.endswith(
                    'head') else b' ')
                handler.wfile.flush()

        def slow(handler: http.Handler) -> None:
            handler.send_response(200)
            if handler.path.endswith('body'):
                handler.send_header('Content-Type', 'application/json')
                handler.send_header('Content-Length', '1000000')
                handler.end_headers()
            else:
                handler.flush_headers()
            drip(handler)
        server = http.Server(self, slow)
        for path in ('/head', '/body'):
            started = time.monotonic()
            (found,) = self.source(server.url, timeout=0.5).read([
                self.asked(server.url + path)])
            self.assertEqual('no answer within 0.5 s', found.failure)
            self.assertLess(time.monotonic() - started, 10)

    def test_a_handshake_takes_for_ever(self) -> None:
        mute = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(mute.close)
        url = f'https://127.0.0.1:{mute.getsockname()[1]}'
        (found,) = self.source(url, timeout=0.3).read([
            self.asked(url + answers.CHASSIS)])
        self.assertEqual('no answer within 0.3 s', found.failure)

    def test_a_password_is_in_an_error_or_a_log(self) -> None:
        with self.assertLogs(level=logging.DEBUG) as logs:
            for resources in (
                    answers.environment(**ENERGY), {},
                    {answers.CHASSIS: lambda handler: handler.raw(
                        f'{SECRET} {RIGHT}'.encode() * 99, 500)},
                    {answers.CHASSIS: lambda handler: (
                        handler.wfile.write(b'no HTTP\r\n\r\n'),
                        handler.wfile.flush())}):
                found = self.read(resources)
                self.assertNotIn(SECRET, repr(found))
            logging.getLogger().debug('%r', self.source(self.bmc.url))
        said = '\n'.join(logs.output)
        self.assertIn(f'GET {answers.CHASSIS}: 200', said)
        for word in (SECRET, RIGHT.split()[1]):
            self.assertNotIn(word, said)


class ShapeTest(unittest.TestCase):

    def test_a_shape_is_one_that_no_meter_can_have(self) -> None:
        for shape in properties._SHAPES.values():
            self.assertIn(shape.unit, redfish.quantities.units_of(
                'electricity', shape.kind))



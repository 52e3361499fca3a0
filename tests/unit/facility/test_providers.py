# SPDX-License-Identifier: Apache-2.0
"""Each provider against answers in the form that it documents."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import tempfile
import unittest
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from unittest import mock

from oslo_config import cfg

from energy_accounting import conf as configuration
from energy_accounting import errors, plugins, units
from energy_accounting.facility import factor_revisions, factors, providers
from energy_accounting.facility.providers import (
    electricity_maps,
    energy_charts,
    files,
    web,
)
from tests.unit.facility import http, made

FIXTURES = pathlib.Path(__file__).parent / 'fixtures'
NOW_NS = made.at('2026-07-13T12:00:00Z')
START, END = made.at('2026-07-12T20:00:00Z'), made.at('2026-07-13T00:00:00Z')


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text())


def shown(found: Sequence[factors.Factor]) -> list[tuple[str, int, str, str]]:
    """Start, minutes, value and quality."""
    return [(f'{units.moment(one.start_ns):%H:%M}',
             (one.end_ns - one.start_ns) // (60 * units.NS_PER_S),
             str(one.value), one.quality) for one in found]


class ContractCase(unittest.TestCase):
    """A server that gives one answer."""

    answer: Any
    status = 200

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.dict('os.environ', {'NO_PROXY': '*'}))
        self.server = http.Server(self, lambda handler: handler.json(
            self.answer, self.status))
        self.web = web.Web(timeout=5, sleep=lambda seconds: None)

    def refused(self, provider: providers.Provider, words: str,
                zone: str = 'DE') -> None:
        with self.assertRaisesRegex(
                errors.ProviderError,
                f'{provider.name}, zone {zone}: .*{words}'):
            provider.fetch(zone, START, END, NOW_NS)


class EnergyChartsTest(ContractCase):

    def setUp(self) -> None:
        super().setUp()
        self.answer = recorded('energy-charts-de.json')
        self.provider = energy_charts.EnergyCharts(
            self.server.url, factors.LIFECYCLE, self.web)

    def test_the_recorded_answer_is_understood_otherwise(self) -> None:
        found = self.provider.fetch('DE', START, END, NOW_NS)
        self.assertEqual([
            ('21:45', 15, '0', 'actual'), ('22:00', 15, '491.5', 'actual'),
            ('22:15', 15, '497.4', 'actual'),
            ('22:30', 15, '502.6', 'actual'),
            ('22:45', 15, '505.0', 'forecast'),
            ('23:00', 15, '508.0', 'forecast')], shown(found))
        self.assertEqual([], factor_revisions.within(found))
        self.assertEqual(factors.Series(
            'carbon', 'DE', None, 'electricity', 'lifecycle', 'location',
            'average'), found[0].series)

    def test_it_is_asked_for_another_time_or_country(self) -> None:
        # A quarter of an hour is asked for with an hour on both sides,
        # whatever zone this machine is in.
        with mock.patch.dict('os.environ', {'TZ': 'Asia/Kolkata'}):
            found = self.provider.fetch(
                'DE', START + 2 * made.HOUR_NS,
                START + 2 * made.HOUR_NS + made.QUARTER_NS, NOW_NS)
        self.assertEqual(
            '/co2eq?country=de&start=2026-07-12T21%3A00Z'
            '&end=2026-07-13T00%3A00Z', self.server.asked[0][0])
        self.assertEqual([('22:00', 15, '491.5', 'actual')], shown(found))

    def test_hours_are_taken_for_quarters(self) -> None:
        self.answer['unix_seconds'] = [
            1783890000 + 3600 * place for place in range(7)]
        self.assertEqual({60}, {length for _, length, *_ in shown(
            self.provider.fetch('DE', START, END, NOW_NS))})

    def test_a_missing_quarter_is_filled(self) -> None:
        for name in ('unix_seconds', 'co2eq', 'co2eq_forecast'):
            del self.answer[name][3]
        self.assertNotIn('22:15', [start for start, *_ in shown(
            self.provider.fetch('DE', START, END, NOW_NS))])

    def test_half_an_answer_is_used(self) -> None:
        whole = self.answer
        for words, change in (
                ('no list co2eq', lambda a: a.pop('co2eq')),
                ('no list unix_seconds', lambda a: a.update(
                    unix_seconds=None)),
                ('7 times, 6 values', lambda a: a['co2eq'].pop()),
                ('not a whole number', lambda a: a['unix_seconds']
                    .__setitem__(0, '1')),
                ('s apart', lambda a: a['unix_seconds'].reverse()),
                ('s apart', lambda a: a['unix_seconds'].__setitem__(
                    1, 1783891801)),
                ("'12'", lambda a: a['co2eq'].__setitem__(1, '12')),
                ("'True'", lambda a: a['co2eq'].__setitem__(1, True)),
                ("'-3'", lambda a: a['co2eq'].__setitem__(1, -3))):
            self.answer = copy.deepcopy(whole)
            change(self.answer)  # type: ignore[no-untyped-call]
            with self.subTest(words):
                self.refused(self.provider, words)
        self.answer = []
        self.refused(self.provider, 'not an object')

    def test_nothing_known_is_an_error_or_a_zero(self) -> None:
        self.answer = {name: [] for name in self.answer}
        self.assertEqual([], self.provider.fetch('DE', START, END, NOW_NS))

    def test_a_country_it_does_not_know_is_silent(self) -> None:
        self.status = 404
        self.refused(self.provider, 'answers 404', zone='XX')
        self.refused(self.provider, 'knows countries only', zone='DK-DK1')
        self.assertEqual(1, len(self.server.asked))


class ElectricityMapsTest(ContractCase):

    def setUp(self) -> None:
        super().setUp()
        self.answer = recorded('electricity-maps-de.json')
        self.provider = electricity_maps.ElectricityMaps(
            self.server.url, 'a-token', factors.LIFECYCLE, self.web)

    def test_the_recorded_answer_is_understood_otherwise(self) -> None:
        found = self.provider.fetch('DE', START, END, NOW_NS)
        self.assertEqual([
            ('20:00', 60, '302', 'actual'),
            ('21:00', 60, '311.25', 'estimated'),
            ('22:00', 60, '0', 'actual')], shown(found))
        self.assertEqual([], factor_revisions.within(found))
        self.assertEqual('Electricity Maps (TIME_SLICER_AVERAGE)',
                         found[1].source)
        self.assertEqual('2026-07-13T06:00:00.000Z', found[0].revision)
        path, headers = self.server.asked[0]
        self.assertEqual(
            '/v3/carbon-intensity/past-range?zone=DE'
            '&start=2026-07-12T20%3A00%3A00Z&end=2026-07-13T00%3A00%3A00Z'
            '&emissionFactorType=lifecycle', path)
        self.assertEqual('a-token', headers['auth-token'])

    def test_a_time_with_an_offset_is_moved(self) -> None:
        self.answer['data'][0]['datetime'] = '2026-07-12T22:00:00+02:00'
        self.assertEqual('20:00', shown(self.provider.fetch(
            'DE', START, END, NOW_NS))[0][0])

    def test_quarters_are_taken_for_hours(self) -> None:
        for entry in self.answer['data']:
            entry['temporalGranularity'] = '15_minutes'
        self.assertEqual({15}, {length for _, length, *_ in shown(
            self.provider.fetch('DE', START, END, NOW_NS))})

    def test_half_an_answer_is_used(self) -> None:
        whole = self.answer
        for words, change in (
                ('no list data', lambda a: a.pop('data')),
                ('data 1 of its answer is not an object',
                 lambda a: a['data'].__setitem__(1, 7)),
                ('data 0 of its answer is of zone .FR',
                 lambda a: a['data'][0].update(zone='FR')),
                ('has no carbonIntensity',
                 lambda a: a['data'][1].pop('carbonIntensity')),
                ('carbonIntensity of data 0 .*-1',
                 lambda a: a['data'][0].update(carbonIntensity=-1)),
                ('carbonIntensity of data 0 .*302',
                 lambda a: a['data'][0].update(carbonIntensity='302')),
                ('datetime of data 2', lambda a: a['data'][2].pop(
                    'datetime')),
                ('datetime of data 2', lambda a: a['data'][2].update(
                    datetime='2026-07-12T22:00:00')),
                ('isEstimated of data 0', lambda a: a['data'][0].pop(
                    'isEstimated')),
                ('emissionFactorType of data 0',
                 lambda a: a['data'][0].update(emissionFactorType='x')),
                ('temporalGranularity of data 0',
                 lambda a: a['data'][0].update(temporalGranularity='daily')),
                ('figures are direct and not lifecycle',
                 lambda a: a['data'][0].update(
                     emissionFactorType='direct'))):
            self.answer = copy.deepcopy(whole)
            change(self.answer)  # type: ignore[no-untyped-call]
            with self.subTest(words):
                self.refused(self.provider, words)

    def test_a_wrong_token_is_silent(self) -> None:
        self.status = 401
        self.refused(self.provider, 'answers 401')

    def test_its_token_is_shown(self) -> None:
        self.assertNotIn('a-token', repr(self.provider))
        self.assertNotIn('a-token', repr(self.web))


class TokenFileTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.path = pathlib.Path(where.name) / 'token'

    def token(self, text: bytes, mode: int = 0o600) -> str:
        self.path.write_bytes(text)
        os.chmod(self.path, mode)
        return electricity_maps.token_of(str(self.path))

    def test_a_token_is_not_read(self) -> None:
        self.assertEqual('abc', self.token(b'abc\n'))
        self.assertEqual('abc', self.token(b'abc', 0o400))

    def test_a_token_is_read_that_others_can_read(self) -> None:
        for mode in (0o640, 0o604, 0o644, 0o620):
            with self.assertRaisesRegex(
                    errors.ConfigurationError,
                    f'mode {mode:04o}.* chmod 600'):
                self.token(b'secret', mode)

    def test_a_file_without_a_token_is_used(self) -> None:
        for text in (b'', b'\n', b'two words', b'a\nb', b'\xff\xfesecret',
                     b'a\x00b'):
            with (self.subTest(text),
                  self.assertRaises(errors.ConfigurationError) as caught):
                self.token(text)
            self.assertIn(str(self.path), str(caught.exception))
            self.assertNotIn('secret', str(caught.exception))

    def test_no_file_is_no_error(self) -> None:
        for path in ('', '/nonexistent/token'):
            with self.assertRaisesRegex(errors.ConfigurationError,
                                        'electricity_maps_token_file'):
                electricity_maps.token_of(path)


class StaticTest(unittest.TestCase):

    def fetch(self, zone: str, start: str, end: str,
              ) -> Sequence[factors.Factor]:
        return files.shipped().fetch(zone, made.at(start), made.at(end),
                                     NOW_NS)

    def test_a_shipped_value_is_another_than_the_source_says(self) -> None:
        values = {units.moment(one.start_ns).year + 1: one.value
                  for one in self.fetch('DE', '1980-01-01T00:00Z',
                                        '2100-01-01T00:00Z')}
        self.assertEqual({1990: Decimal(764), 2022: Decimal(433),
                          2023: Decimal(386), 2024: Decimal(363)}, values)

    def test_a_shipped_value_counts_as_more_than_a_fallback(self) -> None:
        for one in self.fetch('DE', '1980-01-01T00:00Z',
                              '2100-01-01T00:00Z'):
            self.assertEqual((factors.FALLBACK, factors.DIRECT, 'static'),
                             (one.quality, one.basis, one.provider))
            self.assertRegex(one.source, 'Umweltbundesamt.*https://')

    def test_a_year_begins_in_utc(self) -> None:
        (one,) = self.fetch('DE', '2024-06-01T00:00Z', '2024-07-01T00:00Z')
        self.assertEqual(made.at('2024-01-01T00:00:00+01:00'), one.start_ns)
        self.assertEqual(made.at('2025-01-01T00:00:00+01:00'), one.end_ns)

    def test_another_zone_or_year_has_the_same_value(self) -> None:
        self.assertEqual([], self.fetch('FR', '2024-01-01T00:00Z',
                                        '2024-02-01T00:00Z'))
        self.assertEqual([], self.fetch('DE', '2026-01-01T00:00Z',
                                        '2026-02-01T00:00Z'))


class CsvTest(unittest.TestCase):

    def setUp(self) -> None:
        super().setUp()
        where = tempfile.TemporaryDirectory()
        self.addCleanup(where.cleanup)
        self.path = pathlib.Path(where.name) / 'own.csv'
        self.conf = cfg.ConfigOpts()
        configuration.register(self.conf)
        self.conf([])

    def provider(self) -> files.File:
        self.conf.set_override('csv_file', str(self.path), 'factors')
        provider: files.File = plugins.load(
            providers.NAMESPACE, 'csv', 'providers')(self.conf)
        return provider

    def test_an_operators_file_is_not_read(self) -> None:
        self.path.write_text(
            'start;end;value;source;zone;basis;quality\n'
            '2026-07-12T20:00Z;2026-07-12T21:00Z;12.5;me;DE;direct;\n'
            '2026-07-12T20:00Z;2026-07-12T21:00Z;13;me;FR;direct;\n',
            encoding='utf-8-sig')
        (one,) = self.provider().fetch('DE', START, END, NOW_NS)
        self.assertEqual((Decimal('12.5'), 'csv', factors.ACTUAL),
                         (one.value, one.provider, one.quality))

    def test_a_broken_file_is_used_in_part(self) -> None:
        self.path.write_text(
            'start,end,value,source,zone,basis\n'
            '2026-07-12T20:00Z,2026-07-12T21:00Z,12,me,DE,direct\n'
            '2026-07-12T21:00Z,2026-07-12T22:00Z,x,me,DE,direct\n')
        with self.assertRaisesRegex(
                errors.ProviderError,
                "csv, zone DE: .*own.csv line 3, value: 'x'"):
            self.provider().fetch('DE', START, END, NOW_NS)

    def test_a_file_that_is_gone_is_an_empty_one(self) -> None:
        with self.assertRaisesRegex(errors.ProviderError,
                                    'cannot be read: No such file'):
            self.provider().fetch('DE', START, END, NOW_NS)

    def test_no_file_is_named(self) -> None:
        with self.assertRaisesRegex(errors.ConfigurationError, 'csv_file'):
            plugins.load(providers.NAMESPACE, 'csv', 'p')(self.conf)


class PluginsTest(unittest.TestCase):

    def test_a_provider_has_another_name_than_its_entry_point(self) -> None:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        with tempfile.NamedTemporaryFile() as token:
            token.write(b'x')
            token.flush()
            conf.set_override('csv_file', token.name, 'factors')
            conf.set_override('electricity_maps_token_file', token.name,
                              'factors')
            for name in ('static', 'csv', 'energy-charts',
                         'electricity-maps'):
                made_of = plugins.load(providers.NAMESPACE, name, 'x')(conf)
                self.assertEqual(name, made_of.name)
                self.assertIn(made_of.basis, (None, 'lifecycle'))

    def test_a_wrong_address_is_found_when_it_is_asked(self) -> None:
        conf = cfg.ConfigOpts()
        configuration.register(conf)
        conf([])
        conf.set_override('energy_charts_url', 'http://api.example',
                          'factors')
        with self.assertRaisesRegex(errors.ConfigurationError,
                                    'energy_charts_url.*https'):
            energy_charts.from_conf(conf)

# SPDX-License-Identifier: Apache-2.0
"""What travels arrives as it was, or not at all."""

import dataclasses
import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import errors, samples, wire

SHARE = samples.Share(
    samples.Account(samples.INSTANCE, 'i-1', 'p-1', 'm1', None), 5, 3, None,
    1, 10, 20, 30)
PART = samples.Part(7, False, 60, 40, 240, 3, {'package-0': 9}, (SHARE,))
WINDOW = samples.Window(
    'host', 'machine', 'stream', 1, 0, 60, 'boot', 100, 160, 'two-part/1',
    ('package-0',), 'measured', 50, 4, 1024, (PART,),
    (samples.Gap(None, 0, 5, 'reset'),), '1.0')

TEXTS = st.text(min_size=1, max_size=20)
NUMBERS = st.integers(0, 2 ** 63 - 1)
ACCOUNTS = st.builds(
    samples.Account, st.just(samples.INSTANCE), TEXTS,
    st.none() | TEXTS, st.none() | TEXTS, st.none() | TEXTS,
    st.none()) | st.builds(
    lambda kind, name: samples.Account(kind, name=name),
    st.sampled_from([samples.SERVICE, samples.UNALLOCATED]), TEXTS)
SHARES = st.builds(samples.Share, ACCOUNTS, NUMBERS, NUMBERS,
                   st.none() | NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
PARTS = st.builds(
    samples.Part, NUMBERS, st.booleans(), NUMBERS, NUMBERS, NUMBERS,
    NUMBERS, st.dictionaries(TEXTS, NUMBERS, max_size=3),
    st.lists(SHARES, max_size=4).map(tuple))


def changed(**fields):
    body = json.loads(wire.payload(WINDOW))
    body.update(fields)
    return json.dumps(body)


class TestWire(unittest.TestCase):
    def test_a_window_changes_on_the_way(self):
        text = wire.payload(WINDOW)
        self.assertEqual(WINDOW, wire.from_payload(text))
        self.assertEqual(text, wire.payload(wire.from_payload(text)))

    @given(st.lists(PARTS, max_size=3).map(tuple))
    def test_some_window_changes_on_the_way(self, parts):
        window = dataclasses.replace(WINDOW, parts=parts)
        self.assertEqual(window,
                         wire.from_payload(wire.payload(window)))

    def test_a_lost_record_changes_on_the_way(self):
        lost = samples.Lost('host', 'machine', 'stream', 3, 5)
        self.assertEqual(lost, wire.from_payload(wire.payload(lost)))

    def test_unknown_memory_becomes_zero(self):
        window = wire.from_payload(wire.payload(WINDOW))
        self.assertIsNone(window.parts[0].shares[0].memory_uj)

    def test_a_malformed_record_is_taken_or_raises_something_else(self):
        share = [*SHARE.account, *SHARE[1:]]
        part = {**json.loads(wire.payload(WINDOW))['parts'][0]}
        for text in (
                '', '[]', 'null', '{}', '{"v":1}', '[' * 100_000,
                changed(v=2), changed(v='1'), changed(minor=-1),
                changed(minor='0'), changed(needs=0.0),
                changed(v=True, kind='window', host=None),
                changed(kind='other'), changed(sequence=0),
                changed(sequence=-1), changed(sequence=1.0),
                changed(sequence=True), changed(start_ns=2 ** 63),
                changed(end_ns=None), changed(host=''),
                changed(host='x' * 256), changed(basis=[1]),
                changed(surplus=1), changed(parts=None),
                changed(version=None), changed(gaps=[{'zone': 1}]),
                changed(parts=[{**part, 'bucket': -1}]),
                changed(parts=[{**part, 'backfilled': 1}]),
                changed(parts=[{**part, 'zones_uj': {'package-0': -1}}]),
                changed(parts=[{**part, 'shares': [share[:-1]]}]),
                changed(parts=[{**part, 'shares': [[*share, 1]]}]),
                changed(parts=[{**part,
                                'shares': [['other', *share[1:]]]}]),
                changed(parts=[{**part, 'shares': [
                    ['instance', None, *share[2:]]]}]),
                changed(parts=[{**part, 'shares': [
                    ['service', *share[1:]]]}]),
                changed(parts=[{**part, 'shares': [
                    [*share[:6], -1, *share[7:]]]}]),
                wire.payload(WINDOW).replace('"cpus":4', '"cpus":NaN'),
        ):
            with self.subTest(text=text[:80]), \
                    self.assertRaises(errors.InvalidRecord):
                wire.from_payload(text)

    def test_a_reason_speaks_of_the_program_and_not_of_the_field(self):
        body = json.loads(wire.payload(WINDOW))
        share = body['parts'][0]['shares'][0]

        def without(name, where):
            return {key: value for key, value in where.items()
                    if key != name}

        def with_part(**fields):
            return json.dumps({**body, 'parts': [
                body['parts'][0], {**body['parts'][0], **fields}]})
        long = 'x' * 50
        for text, reason in (
                (json.dumps(without('end_ns', body)), 'end_ns is missing'),
                (json.dumps(without('parts', body)), 'parts is missing'),
                (json.dumps(without('kind', body)), 'kind is missing'),
                (json.dumps(without('v', body)), 'v is missing'),
                ('{"v":1,"kind":"lost"}', 'host is missing'),
                (changed(surplus=1),
                 '"surplus" is no field that version 1.0 has'),
                (changed(**{long: 1}),
                 f'"{"x" * 39}... is no field that version 1.0 has'),
                (changed(v='2'), 'wire version "2" is not 1: upgrade the '
                 'collector before the notifiers'),
                (changed(kind=None), 'no record is of kind null'),
                (changed(parts={}), 'parts is not a list'),
                (changed(parts=[7]), 'parts[0]: it is not an object'),
                (changed(gaps=[{'zone': None}]),
                 'gaps[0]: end_ns is missing'),
                (changed(cpus='4'), 'cpus is not a whole number from 0'),
                (changed(host=None),
                 'host is not a text of 1 to 255 characters'),
                (with_part(zones_uj=[1]),
                 'parts[1]: zones_uj is not an object'),
                (with_part(zones_uj={'dram-0': None}), 'parts[1]: '
                 'zones_uj[dram-0] is not a whole number from 0'),
                (with_part(shares=None),
                 'parts[1]: shares is not a list'),
                (with_part(shares=[share, share[1:]]),
                 'parts[1]: shares[1]: it has 12 fields, not 13'),
                (with_part(shares=[[['a'], *share[1:]]]),
                 'parts[1]: shares[0]: no account is of kind ["a"]'),
                (with_part(shares=[[*share[:3], 7, *share[4:]]]),
                 'parts[1]: shares[0]: flavor is not a text of 1 to 255 '
                 'characters'),
                (with_part(shares=[[*share[:-1], None]]), 'parts[1]: '
                 'shares[0]: memory_mib_ns is not a whole number from 0'),
                ('', 'it is not JSON at character 1'),
                ('{"v":1 x}', 'it is not JSON at character 8'),
                ('[]', 'it is not an object'),
                ('{"v":1,"a":2,"a":3}', '"a" is there twice'),
                ('{"v":1.0}', '1.0 is not an integer'),
                (f'[{"9" * 5000}]', 'a number of it has thousands of digits'),
                ('[' * 100_000, 'it is nested too deep')):
            with self.subTest(text=text[-80:]):
                with self.assertRaises(errors.InvalidRecord) as caught:
                    wire.from_payload(text)
                self.assertEqual(reason, str(caught.exception))

    def test_a_newer_minor_version_is_half_understood(self):
        body = json.loads(wire.payload(WINDOW))
        newer = {**body, 'minor': wire.MINOR + 1, 'surplus': 1,
                 'gaps': [{**gap, 'surplus': 1} for gap in body['gaps']],
                 'parts': [{**part, 'surplus': {}, 'shares': [
                     [*share, 'surplus'] for share in part['shares']]}
                     for part in body['parts']]}
        self.assertEqual(WINDOW, wire.from_payload(json.dumps(newer)))
        # The same without the number is no record of ours.
        self.assertRaises(errors.InvalidRecord, wire.from_payload,
                          json.dumps({**newer,
                                      'minor': wire.MINOR}))
        # What is known must still be there, and be right.
        for name in ('sequence', 'parts'):
            less = {key: value for key, value in newer.items()
                    if key != name}
            self.assertRaises(errors.InvalidRecord, wire.from_payload,
                              json.dumps(less))

    def test_a_field_that_must_be_understood_is_passed_over(self):
        text = changed(minor=wire.MINOR + 3,
                       needs=wire.MINOR + 2)
        with self.assertRaisesRegex(
                errors.NewerRecord,
                rf'from wire version 1\.{wire.MINOR + 2} on'):
            wire.from_payload(text)

    def test_a_lost_record_ends_before_it_begins(self):
        lost = samples.Lost('host', 'machine', 'stream', 5, 4)
        with self.assertRaises(errors.InvalidRecord):
            wire.from_payload(wire.payload(lost))

    def test_a_reading_changes_in_the_spool(self):
        reading = samples.HostReading(
            1, 2, 'boot', (samples.ZoneReading('package-0', 'package',
                                               None, 5),),
            6, 7, 8, (samples.GuestReading('i', '1-2', None, None, 1, 2),),
            (samples.GuestReading('j', '1-3', 4, 5, 1, 2, ended_ns=9),),
            {'machine.slice': 3}, {'ceph': 4})
        body = json.loads(json.dumps(wire.reading_to_wire(reading)))
        self.assertEqual(reading, wire.reading_from_wire(body))
        for broken in ({}, {**body, 'more': 1}, {**body, 'guests': [{}]}):
            with self.assertRaises(errors.InvalidRecord):
                wire.reading_from_wire(broken)

# SPDX-License-Identifier: Apache-2.0
"""The spool's files: what is whole is read, whatever the others became."""

import json
import pathlib
import shutil
import tempfile

import testtools
from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import errors, wire
from energy_accounting import spool as spools
from tests.unit import fuzz

WALL_NS = 1_790_000_000 * 10 ** 9
LAST = 9


def text(number):
    return f'window {number} öäü {"x" * 50}'


class Spool(testtools.TestCase):

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / 'spool'
        self.spool = None
        spool = self.open()
        self.addCleanup(lambda: self.spool.close())
        for number in range(1, LAST + 1):
            spool.append(text(number), {'n': number}, WALL_NS)
        spool.acknowledge(2)
        spool.keep_baseline({'n': 'between'})
        self.stream = spool.stream
        spool.close()
        self.files = {path.name: path.read_bytes()
                      for path in self.path.iterdir()}
        self.segments = sorted(name for name in self.files
                               if name.endswith('.seg'))
        self.assertEqual(3, len(self.segments))

    def open(self):
        if self.spool is not None:
            self.spool.close()
        self.spool = spools.Spool.open(self.path, 'h', 'm', 'k', fsync=False,
                                       segment_bytes=450)
        return self.spool

    def restore(self, files):
        if self.spool is not None:
            self.spool.close()
        for path in self.path.parent.glob('spool*'):
            if path.is_dir():
                shutil.rmtree(path)
        self.path.mkdir()
        for name, content in {**self.files, **files}.items():
            if content == 'directory':
                (self.path / name).mkdir()
            elif content is not None:
                (self.path / name).write_bytes(content)

    def read(self, spool):
        """What can be read, by number; the rest was stated as lost."""
        found, expected = {}, 1
        while expected < spool.next_sequence:
            for record in spool.records(expected):
                self.assertEqual(expected, record.first)
                if record.payload.startswith('{'):
                    lost = wire.from_payload(record.payload)
                    self.assertEqual((record.first, record.last),
                                     (lost.sequence, lost.last))
                else:
                    found[record.first] = record.payload
                expected = record.last + 1
        return found

    def in_segment(self, number):
        return [name for name in self.segments
                if int(pathlib.Path(name).stem) <= number][-1]

    def go_on(self, spool):
        """Append, open again: the new record and all others are there."""
        number = spool.next_sequence
        self.assertEqual(number, spool.append(text(number), {}, WALL_NS))
        before = self.read(spool)
        self.assertEqual(text(number), before[number])
        spool = self.open()
        self.assertEqual(before, self.read(spool))
        self.assertEqual({}, spool.last_state())

    @fuzz.settings(150)
    @given(st.sets(st.integers(0, 2), min_size=1, max_size=2), st.data())
    def test_a_damaged_segment_costs_what_was_whole(self, places, data):
        chosen = {self.segments[place] for place in places}
        self.restore({name: data.draw(fuzz.damaged(self.files[name])
                                      | st.just(b'')) for name in chosen})
        spool = self.open()
        found = self.read(spool)
        for number, payload in found.items():
            self.assertEqual(text(number), payload)
        self.assertLessEqual({
            number for number in range(1, LAST + 1)
            if self.in_segment(number) not in chosen}, set(found))
        self.go_on(spool)

    @fuzz.settings(80)
    @given(st.lists(st.sampled_from(range(LAST)), max_size=12),
           st.binary(max_size=40))
    def test_records_in_another_order_are_given_other_numbers(self, order,
                                                              between):
        """Whole records, out of order, twice, with rubbish between."""
        whole = b''.join(self.files[name] for name in self.segments)
        size = len(whole) // LAST
        records = [whole[size * place:size * (place + 1)] for place in order]
        self.restore({self.segments[0]: between.join([b'', *records]),
                      self.segments[1]: None, self.segments[2]: None})
        spool = self.open()
        for number, payload in self.read(spool).items():
            self.assertEqual(text(number), payload)
        self.go_on(spool)

    @fuzz.settings(100)
    @given(st.data())
    def test_a_damaged_meta_puts_records_under_another_stream(self, data):
        meta = self.files['meta.json']
        content = data.draw(
            fuzz.damaged(meta) | st.just('directory') | st.none()
            | fuzz.damaged_value(json.loads(meta)).map(
                lambda value: json.dumps(value).encode()))
        self.restore({'meta.json': content})
        spool = self.open()
        if spool.stream == self.stream:
            self.assertEqual(LAST, len(self.read(spool)))
        else:
            self.assertEqual(1, spool.next_sequence)
            [aside] = self.path.parent.glob('spool.aside-*')
            for name in self.segments:
                self.assertEqual(self.files[name],
                                 (aside / name).read_bytes())
        self.go_on(spool)

    @fuzz.settings(100)
    @given(fuzz.damaged(b'2\n') | st.just('directory')
           | st.sampled_from(fuzz.NUMBERS))
    def test_a_damaged_acknowledgement_stops_the_stream(self, content):
        self.restore({'acknowledged': content})
        spool = self.open()
        # Numbers go on where they were: a hole would be a stated loss.
        self.assertEqual(LAST + 1, spool.next_sequence)
        self.assertEqual(LAST, len(self.read(spool)))
        self.assertLessEqual(spool.acknowledged, LAST)
        self.go_on(spool)

    @fuzz.settings(100)
    @given(st.data())
    def test_a_damaged_baseline_is_used(self, data):
        kept = self.files['baseline.json']
        content = data.draw(fuzz.damaged(kept) | st.just('directory')
                            | fuzz.damaged_value(json.loads(kept)).map(
                                lambda value: json.dumps(value).encode()))
        self.restore({'baseline.json': content})
        spool = self.open()
        self.assertIn(spool.last_state(),
                      ({'n': 'between'}, {'n': LAST}))
        self.go_on(spool)

    @fuzz.settings(60)
    @given(st.sampled_from([
        '\u00b2.seg', '\u0663.seg', '9' * 30 + '.seg', '1.seg',
        '-0000000000000000001.seg', '00000000000000000000.seg',
        '99999999999999999999.seg', '00000000000000000004.seg.new']),
        st.binary(max_size=30) | st.just('directory'))
    def test_a_file_of_another_name_is_taken_for_a_segment(self, name,
                                                           content):
        self.restore({name: content})
        try:
            spool = self.open()
        except errors.SpoolError as error:
            self.fail(str(error))
        self.assertEqual(set(range(1, LAST + 1)), set(self.read(spool)))
        self.go_on(spool)

# SPDX-License-Identifier: Apache-2.0
"""Records on the wire: booked, held or refused, and never half understood."""

import copy
import json

import testtools
from hypothesis import given
from hypothesis import strategies as st

from energy_accounting import errors, samples, wire
from energy_accounting.ledger import quarantine
from tests.unit import booking, fuzz, records
from tests.unit.ledger import sums

WINDOW = records.window(3, [
    records.share(records.instance(user_id='u')),
    records.share(records.service('ceph')),
    records.share(records.unallocated('ended'), memory_uj=None)], gaps=(
        samples.Gap('dram-0', records.START_NS, records.START_NS + 5,
                    'unreadable'),))
LOST = records.lost(3, 7)
BODIES = [json.loads(wire.payload(record)) for record in (WINDOW, LOST)]
# A lone surrogate can be in JSON but in no UTF-8.
TEXTS = (fuzz.damaged(*(wire.payload(record).encode()
                        for record in (WINDOW, LOST))).map(
             lambda data: data.decode('utf-8', 'surrogateescape'))
         | fuzz.damaged_value(*BODIES).map(json.dumps)
         | st.text(max_size=20))


class Form(testtools.TestCase):

    @fuzz.settings(300)
    @given(TEXTS)
    def test_a_text_is_taken_for_another_record_than_it_is(self, text):
        try:
            record = wire.from_payload(text)
        except errors.InvalidRecord:
            return
        # Nothing was left out, added or taken for something else.
        said, understood = (json.loads(one) for one in (
            text, wire.payload(record)))
        if said.get('minor', 0) > wire.MINOR:
            said['minor'] = wire.MINOR
            said = {key: said[key] for key in said if key in understood
                    and key not in ('parts', 'gaps', 'needs')}
        self.assertEqual(understood, {**understood, **said})

    def test_an_object_is_walked_through_like_a_list(self):
        for name in ('basis', 'parts', 'gaps'):
            for other in ({}, '', {'package-0': 1}):
                self.assertRaises(
                    errors.InvalidRecord, wire.from_payload,
                    json.dumps({**BODIES[0], name: other}))

    def test_a_field_that_is_there_twice_is_read_once(self):
        text = wire.payload(WINDOW)
        self.assertRaises(errors.InvalidRecord, wire.from_payload,
                          text.replace('"cpus":8', '"cpus":8,"cpus":9'))


class Booking(booking.BookingCase):

    def setUp(self):
        super().setUp()
        self.number = 0

    def book_any(self, call):
        """What became of a call, and that the books are still right."""
        try:
            answer = self.collector.book({}, call)
        except (errors.InvalidRecord, errors.Unavailable):
            return None
        results = answer['results']
        self.assertEqual(len(call), len(results))
        self.assertLessEqual(set(results), set(samples.RESULTS))
        self.assertTrue(0 < answer['expects'] <= 1 << 63)
        found = sums.sums(self.database)
        self.assertEqual(found.zones, found.accounts)
        self.assertEqual(found.zones, found.projects)
        return answer

    @fuzz.settings(60)
    @given(st.lists(TEXTS | st.just(wire.payload(WINDOW)), min_size=1,
                    max_size=4))
    def test_a_damaged_record_costs_another_one_its_energy(self, texts):
        sums.empty(self.database)
        self.book(records.window(1), records.window(2))
        before = sums.sums(self.database)
        answer = self.book_any([records.signed(text) for text in texts])
        after = sums.sums(self.database)
        claimed = 0
        for text, result in zip(texts, answer['results'] if answer else (),
                                strict=False):
            if result == samples.BOOKED:
                record = wire.from_payload(text)
                claimed += (quarantine.claimed_uj(record) if isinstance(
                    record, samples.Window) else 0)
        self.assertEqual(before.zones + claimed, after.zones)
        # Another host is none the worse for it.
        results, _ = self.book(records.window(
            host='other', stream='other', machine_id='other'))
        self.assertEqual([samples.BOOKED], results)

    @fuzz.settings(60)
    @given(fuzz.VALUES | st.lists(fuzz.VALUES | st.lists(
        fuzz.VALUES, min_size=3, max_size=3), max_size=3))
    def test_a_call_of_anything_is_more_than_refused(self, call):
        sums.empty(self.database)
        self.book_any(copy.deepcopy(call))

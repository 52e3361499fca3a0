# SPDX-License-Identifier: Apache-2.0
"""Nova's metadata: whatever it says, a guest is nobody's at worst."""

import pathlib
import time

import testtools
from hypothesis import given
from hypothesis import strategies as st

from energy_accounting.guests import metadata, processes, qemu
from tests.unit import fuzz

FIXTURES = pathlib.Path(__file__).parents[1] / 'guests' / 'fixtures'
METADATA = (FIXTURES / 'metadata-nova-34.0.0.xml').read_bytes()
DOMAIN = (FIXTURES / 'domain-nova-34.0.0.xml').read_bytes()
BOMB = '<!DOCTYPE a [<!ENTITY e0 "ha">' + ''.join(
    f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12)
) + ']><instance><owner><project uuid="&e11;"/></owner></instance>'
LONG = ('<!DOCTYPE a [<!ENTITY e "' + 'x' * 100_000 + '">]><instance><name>'
        + '&e;' * 100_000 + '</name></instance>')
OUTSIDE = ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><instance>'
           '<owner><project uuid="p"/></owner><name>&e;</name></instance>')
DEEP = '<a>' * 100_000 + '</a>' * 100_000
WIDE = '<instance>' + '<owner/>' * 200_000 + '</instance>'
STRANGE = METADATA.replace(b'<instance', b'<instance xmlns="urn:other"')


class Metadata(testtools.TestCase):

    def assert_usable(self, identity):
        for text in (identity.project_id, identity.flavor, identity.user_id):
            if text is not None:
                self.assertTrue(text.isprintable() and text == text.strip()
                                and 0 < len(text) < 256, repr(text))
        for number, most in ((identity.vcpus, qemu.MOST_VCPUS),
                             (identity.memory_mib, qemu.MOST_MIB)):
            if number is not None:
                self.assertIn(number, range(1, most + 1))

    @fuzz.settings(300)
    @given(fuzz.damaged(METADATA, STRANGE, DOMAIN))
    def test_a_damaged_text_gives_what_no_record_can_bear(self, data):
        self.assert_usable(metadata.parse(
            data.decode('utf-8', 'surrogateescape'), user_ids=True))

    @fuzz.settings(100)
    @given(st.text(alphabet=st.characters(exclude_categories=['Cs']),
                   max_size=300), st.text(max_size=20))
    def test_a_name_of_any_letters_costs_the_host_its_windows(self, name,
                                                              number):
        attribute = ''.join(f'&#{ord(letter)};' for letter in name)
        self.assert_usable(metadata.parse(
            f'<instance><flavor name="{attribute}"><vcpus>'
            f'{"".join(f"&#{ord(letter)};" for letter in number)}</vcpus>'
            '</flavor></instance>'))

    def test_a_bomb_takes_time_or_is_read(self):
        for text in (BOMB, LONG, OUTSIDE):
            started = time.process_time()
            self.assertEqual(processes.NOBODY, metadata.parse(text))
            self.assertLess(time.process_time() - started, 1)

    def test_a_huge_text_ends_the_process(self):
        for text in (DEEP, WIDE):
            self.assert_usable(metadata.parse(text))

    def test_a_flavor_with_a_blank_of_japan_is_forgotten(self):
        self.assertEqual('m1 small', metadata.parse(
            '<instance><flavor name="m1\u3000small"/></instance>').flavor)

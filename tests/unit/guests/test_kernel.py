# SPDX-License-Identifier: Apache-2.0
"""Only what the kernel writes is a number or a name."""

import testtools

from energy_accounting.guests import kernel
from tests.unit import fuzz


class Kernel(testtools.TestCase):

    def test_what_python_takes_for_a_number_is_one(self):
        for text in set(fuzz.NUMBERS) - {b'0', b'00', str(2 ** 31).encode()}:
            self.assertRaises(ValueError, kernel.count, text)
        self.assertEqual(2 ** 31, kernel.count(b' 2147483648\n'))
        self.assertRaises(ValueError, kernel.count, b'9' * 18, 1000)

    def test_what_no_record_can_bear_is_a_word(self):
        for text in (b'', b'\n', b'a\nb', b'a\0', b'\xff', b'x' * 256):
            self.assertRaises(ValueError, kernel.word, text)
        self.assertEqual('a-b', kernel.word(b'a-b\n'))

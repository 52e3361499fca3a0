# SPDX-License-Identifier: Apache-2.0
"""What a spreadsheet would calculate is a text."""

from oslotest import base

from energy_accounting import spreadsheets


class GuardedTest(base.BaseTestCase):

    def test_a_formula_gets_through(self):
        for text in ('=1', '+1', '-1', '@SUM(1)', ' =1', '\u00a0=1', '\t=1',
                     '\r\n=1', '\ufeff=1', '\u200b=1', '\uff1d1',
                     '\x00=1', '\u2028=1'):
            found = spreadsheets.guarded(text)
            self.assertEqual(("'", 1), (found[0], len(
                found.splitlines())), ascii(text))

    def test_another_text_is_changed(self):
        for text in ('', 'web-1', 'a=b', '4+5', 'a@example.org', "'x",
                     '\u062f\u200c\u062f'):
            self.assertEqual(text, spreadsheets.guarded(text))

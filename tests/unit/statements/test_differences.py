# SPDX-License-Identifier: Apache-2.0
"""Two revisions, line by line."""

from __future__ import annotations

import dataclasses

from oslotest import base

from energy_accounting.statements import differences
from tests.unit.statements import made, shown


class PlacedTest(base.BaseTestCase):

    def test_what_goes_on_behind_a_place_loses_or_doubles_a_line(
            self) -> None:
        one, two, three, four, five = (
            shown.line(day, 'web', made.KWH, made.OCTOBER)
            for day in range(5))
        changed = dataclasses.replace(three, it_uj=1)
        earlier, later = [one, two, three, five], [two, changed, four, five]
        found = list(differences.placed(earlier, later))
        self.assertEqual(
            [(one, None), (three, changed), (None, four)],
            [(each.was, each.became) for _, each in found])
        self.assertEqual(
            [each for _, each in found],
            list(differences.of_lines(earlier, later)))
        for number, (place, _) in enumerate(found):
            self.assertEqual(found[number + 1:], list(differences.placed(
                earlier[place.earlier:], later[place.later:], place)))

# SPDX-License-Identifier: Apache-2.0
"""Words of the API that a reader of another language meets."""

from __future__ import annotations

import datetime

import testtools
from django.utils import translation

from energy_accounting import attribution, idle, ticks, units, window
from energy_accounting.facility import supply
from energy_accounting.ledger import (
    boundaries,
    exports,
    gaps,
    models,
    platform,
    received,
    statements,
)
from tests.unit.dashboard import panels  # noqa: F401 (configures Django)

# After what configures Django.
from energy_accounting.dashboard import words  # isort: skip


class Words(testtools.TestCase):

    def test_a_word_of_the_service_has_none_here(self) -> None:
        mixed = ('mixed',)
        for known, said in (
                (words.EXPORT_STATES, exports.STATES),
                (words.STATEMENT_STATES, statements.STATES),
                (words.HELD_STATES, models.QUARANTINE_STATES),
                (words.HOST_STATES, (models.ENROLLED, models.RETIRED,
                                     models.PENDING)),
                (words.IDLE_KINDS, (idle.CONFIGURED, idle.MEASURED,
                                    idle.PROVISIONAL)),
                (words.CODES, received.CODES),
                (words.BOUNDARIES, boundaries.ALL + mixed),
                (words.PUE_KINDS, supply.KINDS + mixed),
                (words.QUALITIES, supply.QUALITIES + mixed),
                (words.GAPS, (
                    gaps.LOST, gaps.NOT_UNDERSTOOD, gaps.NEW_STREAM,
                    gaps.SKIPPED, gaps.DISCARDED, ticks.REBOOT, ticks.RESET,
                    ticks.TOO_LONG, ticks.UNREADABLE))):
            self.assertEqual(set(said), set(known))
        self.assertLessEqual(
            {attribution.IDLE_CAPACITY, attribution.FREE_MEMORY,
             attribution.HOST, attribution.NO_ACTIVITY, window.TOO_MANY,
             platform.REASON}, set(words.REASONS))

    def test_the_reader_hears_the_words_of_the_api(self) -> None:
        with translation.override('de'):
            self.assertEqual('gescheitert', words.known(
                'failed', words.EXPORT_STATES))
            self.assertEqual('neu', words.known('neu', words.EXPORT_STATES))
            self.assertEqual('2 × Prozessoren', words.zones(
                ['package-0', 'package-1']))

    def test_a_day_has_the_name_of_the_next(self) -> None:
        where = units.zone('Europe/Berlin')
        first = datetime.datetime(2026, 9, 30, 22, tzinfo=units.UTC)
        for hours, said in ((24, '1 Oct 2026'), (48, '1 Oct – 2 Oct 2026')):
            self.assertEqual(said, words.span(
                first, first + datetime.timedelta(hours=hours), where))
        self.assertEqual('–', words.moment(None, where))

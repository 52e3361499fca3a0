# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import dataclasses
import itertools
import random

from energy_accounting.ledger import usage
from tests.unit.ledger import reading

KOLKATA = reading.KOLKATA


class SourcesTest(reading.LedgerCase):

    def test_both_ways_to_read_say_the_same(self) -> None:
        reading.random_ledger(self.ledger, random.Random(5))
        for groups, resolution, project in itertools.product(
                (('project',), ('project', 'site'), ('domain',),
                 ('region', 'boundary')), ('total', 'hour'),
                ('p1', 'p2')):
            quick = self.query(
                group_by=groups, resolution=resolution, where=KOLKATA,
                filters={'project': project}, limit=100000)
            with self.database.reader() as connection:
                expected = usage.read(connection, quick)
                # A project has instances only: to filter by the kind of
                # account changes nothing but the way to the rows.
                exact = usage.read(connection, dataclasses.replace(
                    quick, filters={'project': project,
                                    'account': 'instance'}))
            self.assertEqual(expected, exact)

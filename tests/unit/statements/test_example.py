# SPDX-License-Identifier: Apache-2.0
"""The example cloud is billed: nothing is lost between ledger and bill.

It is played once for all tests, with the real notifier, collector, meters
and factors; eight hours of it end with October in Berlin.
"""

from __future__ import annotations

import decimal
import pathlib
import tempfile
import unittest
from typing import Any, ClassVar

from energy_accounting import (
    collector,
    rpc,
    standalone,
    tariffs,
    units,
)
from energy_accounting.facility import supplies
from energy_accounting.ledger import (
    audit,
    balance,
    engine,
    queries,
    register,
    usage,
)
from energy_accounting.ledger import tariffs as tariff_store
from energy_accounting.report import facility
from energy_accounting.report import usage as report
from energy_accounting.simulator import example, site
from energy_accounting.statements import (
    answers,
    closing,
    content,
    differences,
    lines,
    stored,
    supplied,
    verifying,
)
from tests.unit import records
from tests.unit.statements.made import ACTOR, OCTOBER

NOW_NS = OCTOBER.end_ns
PRICE = decimal.Decimal('0.3127')
TERMS = ('active_uj', 'idle_uj', 'memory_uj', 'host_uj', 'platform_uj')


class ExampleTest(unittest.TestCase):

    database: ClassVar[engine.Database]
    closed: ClassVar[dict[str, closing.Closed]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        path = pathlib.Path(cls.enterClassContext(
            tempfile.TemporaryDirectory()))
        cls.database = records.database(f'sqlite:///{path}/ledger.sqlite')
        cls.addClassCleanup(cls.database.close)
        cls.books = collector.Collector(cls.database, None, lambda: NOW_NS)

        def book(payloads: Any) -> rpc.Reply:
            answer = cls.books.book({}, payloads)
            return rpc.Reply(tuple(answer['results']), answer['expects'],
                             tuple(answer['detail']))

        standalone.play_example(cls.database, path, NOW_NS, book,
                                step_ms=10_000, fsync=False,
                                duration_seconds=8 * example.HOUR)
        for quantity, owner in (
                (tariffs.IT, None), (tariffs.FACILITY, cls._someone())):
            cls.database.write(tariff_store.record, tariffs.Tariff(
                f'by {quantity}', 0, None, 'EUR', quantity, PRICE,
                'contract', decimal.Decimal('0.05'), tariffs.LOCATION,
                project_id=owner), NOW_NS, ACTOR)
        cls.closed = cls.close_all()

    books: ClassVar[Any]

    @classmethod
    def _someone(cls) -> str:
        """A project whose tariff is another."""
        return closing.everybody(cls.database, OCTOBER, NOW_NS)[-1]

    @classmethod
    def close_all(cls, now_ns: int = NOW_NS) -> dict[str, closing.Closed]:
        found = supplied.Supplied(OCTOBER, now_ns)
        return {project: closing.close(
            cls.database, project, OCTOBER, found, now_ns, ACTOR)
            for project in closing.everybody(cls.database, OCTOBER, now_ns)}

    def lines(self, one: closing.Closed) -> list[lines.Line]:
        with self.database.reader() as connection:
            return list(stored.lines_of(connection, one.stored))

    def balance(self) -> balance.Balance:
        return self.database.read(balance.read, OCTOBER.start, OCTOBER.end)

    def test_lines_and_operators_rows_are_not_the_balance(self) -> None:
        sheet = self.balance()
        instances = others = 0
        for one in self.closed.values():
            for line in self.lines(one):
                self.assertEqual(line.it_uj, sum(
                    getattr(line, term) or 0 for term in TERMS))
                if line.account == 'instance':
                    instances += line.it_uj
                else:
                    self.assertEqual('', one.stored.project_id)
                    others += line.it_uj
        self.assertEqual(sheet.booked_uj['instance', None], instances)
        self.assertEqual(sum(
            energy_uj for (kind, _), energy_uj in sheet.booked_uj.items()
            if kind != 'instance'), others)
        self.assertEqual(sheet.zones_uj + (sheet.platform_uj or 0),
                         instances + others)
        self.assertEqual(sheet.projects_uj, instances + others)
        self.assertGreater(others, 0)

    def test_lines_are_not_the_totals_and_totals_not_the_usage(self) -> None:
        for project, one in self.closed.items():
            totals = content.totals(one.stored.head)
            found = self.lines(one)
            for name in (*TERMS, 'it_uj', 'facility_uj', 'co2_location_ng',
                         'co2_market_ng', 'water_ul'):
                values = [getattr(line, name) for line in found]
                known = [value for value in values if value is not None]
                self.assertEqual(totals[name], sum(known) if known else None,
                                 name)
            query = queries.UsageQuery(
                OCTOBER.start, OCTOBER.end, 'total', OCTOBER.where,
                ('project',), {'project': project}, NOW_NS, 9)
            (row,) = self.database.read(usage.read, query)
            shown = report.row(query, ['project_id'], row)
            mine = answers.row(one.stored)
            for name in ('active_kwh', 'memory_kwh', 'it_kwh', 'peak_kw',
                         'coverage', 'boundary', 'quality', 'policy'):
                self.assertEqual(shown[name], mine[name], name)

    def test_a_line_is_not_worked_out_as_the_report_does(self) -> None:
        """Facility energy and CO2 once more, from the supplies alone."""
        (project, *_) = [name for name in self.closed if name]
        known = self.database.read(supplies.read, OCTOBER.start,
                                   OCTOBER.end, NOW_NS)
        seen = 0
        for line in self.lines(self.closed[project]):
            query = queries.UsageQuery(
                line.start, line.end, 'quarter', units.UTC, ('instance',),
                {'project': project, 'instance': line.instance_id or '',
                 'flavor': line.flavor or ''}, NOW_NS, 999)
            total = facility.Total()
            for row in self.database.read(usage.read, query):
                ((_, series),) = known.items()
                total.add(row.it_uj, series[row.period - OCTOBER.start])
            self.assertEqual(
                (total.it_uj, total.facility_uj, total.location_ng,
                 total.market_ng, total.water_ul),
                (line.it_uj, line.facility_uj, line.co2_location_ng,
                 line.co2_market_ng, line.water_ul))
            seen += 1
        self.assertGreater(seen, 1)

    def test_money_is_not_the_priced_energy(self) -> None:
        for project, one in self.closed.items():
            totals = content.totals(one.stored.head)
            if not project:
                # Nobody pays for what belongs to nobody.
                self.assertNotIn('cost', totals)
                continue
            found = self.lines(one)
            cents = [tariffs.minor_units(line.cost or '', 2)
                     for line in found]
            self.assertEqual(tariffs.minor_units(totals['cost'], 2),
                             sum(cents))
            (used,) = one.stored.head['tariffs']
            name = f'{used["quantity"]}_uj'
            exact = (PRICE * totals[name] / units.UJ_PER_KWH
                     + decimal.Decimal('0.05') * totals['co2_location_ng']
                     / 10 ** 12)
            self.assertEqual(exact.quantize(
                decimal.Decimal('0.01'), decimal.ROUND_HALF_UP),
                decimal.Decimal(totals['cost']))
            for line, cent in zip(found, cents, strict=True):
                exact = (PRICE * getattr(line, name) / units.UJ_PER_KWH
                         + decimal.Decimal('0.05')
                         * (line.co2_location_ng or 0) / 10 ** 12)
                self.assertLess(abs(exact * 100 - cent), 1)
        self.assertEqual({'it', 'facility'}, {
            one.stored.head['tariffs'][0]['quantity']
            for project, one in self.closed.items() if project})

    def test_factors_are_not_named_with_where_they_come_from(self) -> None:
        for project, one in self.closed.items():
            kinds = {factor['kind']: factor
                     for factor in one.stored.head['factors']}
            self.assertLessEqual({'pue', 'carbon', 'contract'}, set(kinds),
                                 project)
            self.assertTrue(kinds['carbon']['source'])

    def test_closing_again_makes_something(self) -> None:
        for project, again in self.close_all(NOW_NS + 10 ** 12).items():
            self.assertEqual(closing.UNCHANGED, again.outcome)
            self.assertEqual(self.closed[project].stored, again.stored)

    def test_the_ledger_says_something_else(self) -> None:
        for one in self.closed.values():
            self.assertEqual(
                verifying.Verified(verifying.EQUAL, one.stored.digest),
                verifying.verify(self.database, one.stored))

    def test_z_a_late_window_is_not_the_difference(self) -> None:
        """The last one: it changes the ledger."""
        (project, *_) = [name for name in self.closed if name]
        self.database.write(register.enrol, audit.By(ACTOR, NOW_NS),
                            'late-1', {'site': site.NAME})
        start_ns = OCTOBER.end_ns - records.MINUTE_NS
        share = records.share(records.instance(project_id=project),
                              active_uj=123_456_789, idle_uj=1,
                              memory_uj=2, host_uj=3)
        window = records.window(shares=[share], host='late-1',
                                start_ns=start_ns)
        answer = self.books.book({}, records.payloads(window))
        self.assertEqual(['booked'], answer['results'])
        before = self.balance().zones_uj
        again = self.close_all(NOW_NS + 1)
        changed = [name for name, one in again.items()
                   if one.outcome != closing.UNCHANGED]
        self.assertEqual([project], changed)
        later = again[project]
        self.assertEqual((closing.CREATED, 2), (later.outcome,
                                                later.stored.revision))
        earlier = self.lines(self.closed[project])
        (one,) = differences.of_lines(earlier, self.lines(later))
        self.assertIsNone(one.was)
        self.assertEqual(
            (records.INSTANCE, 123_456_789, 1, 2, 3),
            (one.became.instance_id if one.became else None,
             *(differences.amounts(one.was, one.became)[name]
               for name in ('active_uj', 'idle_uj', 'memory_uj',
                            'host_uj'))))
        whole = answers.difference(self.closed[project].stored,
                                   later.stored)
        self.assertEqual(units.kwh_text(share.energy_uj), whole['it_kwh'])
        self.assertEqual([], whole['parts'])
        # And the sum of all is still what there is.
        self.assertEqual(before, sum(
            line.it_uj for each in again.values()
            for line in self.lines(each)))
        found = verifying.verify(self.database, self.closed[project].stored)
        self.assertEqual((verifying.DIFFERS, 1, share.energy_uj),
                         (found.result, found.differing, found.it_uj))

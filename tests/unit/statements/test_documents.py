# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import csv
import html.parser
import io
import re
from collections.abc import Mapping
from typing import Any

from oslotest import base

from energy_accounting import units
from energy_accounting.facility import factors, supply
from energy_accounting.statements import answers, lines, periods
from energy_accounting.statements.documents import (
    figures,
    page,
    pdf,
    summary,
    table,
    words,
)
from tests.unit.statements import made, shown

EVIL = '=HYPERLINK("http://evil.example/")<script>alert(1)</script>\'"&'


def texts(languages: Mapping[str, Any], where: str = '') -> set[str]:
    """The names of all there is to say."""
    return {name for key, value in languages.items()
            for name in ({f'{where}.{key}'} if not isinstance(value, dict)
                         else texts(value, f'{where}.{key}'))}


class Parsed(html.parser.HTMLParser):
    """Tags in order, and all that is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.read = ''
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in ('meta', 'br', 'col', 'line', 'rect'):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ('line', 'rect'):
            assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.read += data


def read(language: str = 'en', found: Any = None, most: int | None = None,
         **more: Any) -> Parsed:
    return Parsed(made_page(language, found, most, **more))


def made_page(language: str = 'en', found: Any = None,
              most: int | None = None, **more: Any) -> str:
    one, kept = shown.statement(
        shown.many(3) if found is None else found, **more)
    return ''.join(page.Page(one, summary.of(kept, page.times_of(one), 2),
                             None, language, most).pieces())


class WordsTest(base.BaseTestCase):

    def test_a_language_leaves_something_unsaid(self) -> None:
        self.assertEqual(*map(texts, words.LANGUAGES.values()))

    def test_a_word_of_the_factors_has_no_translation(self) -> None:
        for language in words.LANGUAGES.values():
            for name in (*factors.CARRIERS, *supply.QUALITIES,
                         *supply.BASES):
                self.assertIn(name, language['known'])
            for kind in (*supply.KINDS, supply.MIXED):
                self.assertIn(kind, language['pue_kinds'])

    def test_numbers_are_rounded_to_nothing_or_in_the_wrong_words(
            self) -> None:
        for energy_uj, english, german in (
                (0, '0.000', '0,000'),
                (1, '< 0.001', '< 0,001'),
                (units.UJ_PER_KWH // 2000, '0.001', '0,001'),
                (1234567 * units.UJ_PER_KWH + units.UJ_PER_KWH // 2,
                 '1\u202f234\u202f567.500', '1\u202f234\u202f567,500'),
                (-units.UJ_PER_KWH, '\u22121.000', '\u22121,000')):
            self.assertEqual(english, figures.kwh(energy_uj, 'en'))
            self.assertEqual(german, figures.kwh(energy_uj, 'de'))
        self.assertEqual('99.9 %', figures.percent('0.9999', 'en'))


class PageTest(base.BaseTestCase):

    def test_what_must_be_said_is_not(self) -> None:
        rapl = ('allocated share of energy estimated from processor '
                'counters')
        metered = 'allocated share of metered energy'
        trade = 'not a legal-for-trade measurement'
        for boundary, said in (('rapl', {rapl, trade}),
                               ('node', {metered, trade}),
                               ('mixed', {rapl, metered, trade})):
            text = read(boundary=boundary).read
            self.assertEqual(said, {
                one for one in (rapl, metered, trade) if one in text})
            self.assertEqual(said, {answers.NOTICES[name] for name in
                                    answers.notice_names(boundary)})
            german = read('de', boundary=boundary).read
            self.assertIn('keine eichrechtskonforme Messung', german)
            self.assertEqual('rapl' in boundary or boundary == 'mixed',
                             'Zählern der Prozessoren geschätzt' in german)
        self.assertIn(trade, read(found=[], factors=[]).read)

    def test_active_is_mixed_with_what_is_allocated(self) -> None:
        one, kept = shown.statement(shown.many(3))
        found = summary.of(kept, page.times_of(one), 2)
        self.assertEqual(sum(line.active_uj for line in kept), sum(
            part.active_uj for part in found.servers.values()))
        self.assertEqual(sum(line.it_uj - line.active_uj for line in kept),
                         sum(part.allocated_uj
                             for part in found.times.values()))

    def test_a_name_gets_out_of_its_place(self) -> None:
        found = [shown.line(0, EVIL, 10 ** 12, made.OCTOBER, flavor=EVIL,
                            site=EVIL)]
        text = made_page(found=found, project_name=EVIL, factors=[
            {**one, 'source': EVIL, 'site': EVIL}
            for one in shown.FACTORS])
        parsed = Parsed(text)
        self.assertNotIn('script', parsed.tags)
        self.assertEqual([], parsed.open)
        self.assertIn('<script>alert(1)</script>', parsed.read)
        # Nor out of the string in the style sheet.
        style = text[text.index('<style>'):text.index('</style>')]
        self.assertNotIn('<', style.removeprefix('<style>'))
        self.assertNotIn('HYPERLINK("', style)

    def test_nothing_breaks_a_page(self) -> None:
        for language, said in (('en', 'No server'), ('de', 'kein Server')):
            parsed = read(language, [], factors=[])
            self.assertIn(said, parsed.read)
            self.assertEqual([], parsed.open)
            self.assertNotIn('svg', parsed.tags)

    def test_servers_that_are_not_listed_are_not_summed(self) -> None:
        whole = read(money=True, found=shown.many(30))
        few = read(money=True, found=shown.many(30), most=7)
        self.assertIn('23 more servers', few.read)
        self.assertEqual(*(
            re.findall('Sum[0-9. \u202f]+', text.read)[-1]
            for text in (whole, few)))

    def test_a_year_is_drawn_by_day(self) -> None:
        year = periods.period('2026', made.BERLIN)
        parsed = read('de', [shown.line(200, 'a', 10 ** 12, year)],
                      period=year)
        self.assertEqual(24, parsed.tags.count('rect'))
        self.assertIn('Energie Ihrer Server je Monat', parsed.read)

    def test_a_provisional_one_looks_final(self) -> None:
        self.assertIn('Provisional: not every', read(revision=0).read)
        self.assertNotIn('Provisional', read(revision=1).read)

    def test_the_same_statement_makes_two_different_pdfs(self) -> None:
        # Two pages and a half of servers, long names, German.
        found = [shown.line(day, shown.server(number), 10 ** 11,
                            made.OCTOBER, flavor='m' * 255)
                 for number in range(5) for day in (0, 30)]
        text = made_page('de', found, money=True, project_name='P' * 64)
        first, again = (pdf.of_html(text, '2026-11-01T05:00:00Z')
                        for _ in range(2))
        self.assertEqual(b'%PDF-', first[:5])
        self.assertEqual(first, again)


class TableTest(base.BaseTestCase):

    def rows(self, *names: str, **more: Any) -> list[list[str]]:
        one, kept = shown.statement(
            [shown.line(0, 'a', 10 ** 12, made.OCTOBER, flavor=name)
             for name in names], **more)
        text = b''.join(table.rows(one, kept)).decode()
        self.assertNotIn('\r', text)
        return list(csv.reader(io.StringIO(text)))

    def test_a_spreadsheet_takes_a_name_for_a_formula(self) -> None:
        for sign in '=+-@':
            for before in ('', ' ', '\t', '\r', '\n'):
                header, row = self.rows(f'{before}{sign}1')
                self.assertEqual(f"'{before and ' '}{sign}1",
                                 row[header.index('flavor')])
        header, row = self.rows('m1=x')
        self.assertEqual('m1=x', row[header.index('flavor')])

    def test_a_negative_number_is_taken_for_a_formula(self) -> None:
        one, kept = shown.statement([shown.line(
            0, 'a', 10 ** 12, made.OCTOBER, platform_uj=-36)])
        header, row = csv.reader(io.StringIO(
            b''.join(table.rows(one, kept)).decode()))
        self.assertEqual('-0.000000000010000',
                         row[header.index('platform_kwh')])

    def test_columns_differ_from_those_of_a_line(self) -> None:
        for money in (False, True):
            shown_line = answers.line(
                shown.line(0, 'a', 1, made.OCTOBER), money=money)
            expected = {*shown_line} - {'quality'}
            header = set(table.header(money=money))
            self.assertEqual(set(), expected - header)

    def test_nothing_has_no_header(self) -> None:
        self.assertEqual([table.header(money=False)], self.rows())


class LinesTest(base.BaseTestCase):

    def test_a_line_is_another_after_it_was_kept(self) -> None:
        _, kept = shown.statement(shown.many(2), money=True)
        for line in kept:
            self.assertEqual(line, lines.from_json(
                lines.to_json(line, money=True)))

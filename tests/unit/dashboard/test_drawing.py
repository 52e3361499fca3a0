# SPDX-License-Identifier: Apache-2.0

import decimal
import itertools
import re
from xml.etree import ElementTree

import testtools

from energy_accounting.dashboard import numbers
from energy_accounting.dashboard.drawing import bars, course, flow, svg

D = decimal.Decimal
GERMAN = numbers.Signs(',', '.')
NAME = '{http://www.w3.org/2000/svg}'
SERIES = (('active', 'Active'), ('idle', 'Idle'))


def chart(*columns: tuple[decimal.Decimal | None, ...],
          title: str = 'Energy') -> bars.Chart:
    return bars.Chart(
        title, 'A bar for each day', 'kWh', SERIES,
        [bars.Column(str(place), f'day {place}', values)
         for place, values in enumerate(columns)],
        GERMAN.significant, GERMAN.fixed)


def drawn(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def luminance(colour: str) -> float:
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928
              else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip(
        (0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


class Pictures(testtools.TestCase):

    def rects(self, picture: str, kind: str) -> list[ElementTree.Element]:
        return [rect for rect in drawn(picture).iter(f'{NAME}rect')
                if rect.get('class') == f'ea-{kind}']

    def test_bars_do_not_stand_on_each_other(self):
        picture = bars.stacked(chart((D(1), D(3)), (D(2), None)), 400, 200,
                               'x')
        (active, second), (idle,) = (self.rects(picture, kind)
                                     for kind in ('active', 'idle'))
        height = {rect: D(rect.get('height'))
                  for rect in (active, second, idle)}
        self.assertAlmostEqual(3, height[idle] / height[active], places=1)
        self.assertAlmostEqual(2, height[second] / height[active], places=1)
        self.assertAlmostEqual(
            D(active.get('y')), D(idle.get('y')) + height[idle], delta=D('.2'))

    def test_what_is_not_known_or_0_is_drawn(self):
        picture = bars.stacked(chart((None, None), (D(0), D(-1))), 400, 200,
                               'x')
        self.assertEqual([], self.rects(picture, 'active')
                         + self.rects(picture, 'idle'))

    def test_no_figures_at_all_break_a_picture(self):
        drawn(bars.stacked(chart(), 400, 200, 'x'))
        drawn(bars.with_line(chart(), [], 'intensity', 'g', GERMAN.exact,
                             400, 200, 'x'))
        drawn(course.course([], 'nothing'))
        drawn(course.share(None, 'nothing'))

    def test_a_screen_reader_hears_nothing(self):
        picture = drawn(bars.stacked(chart((D(1), D(2))), 400, 200, 'p1'))
        self.assertEqual('img', picture.get('role'))
        named = {one.get('id'): one.text for one in picture
                 if one.get('id')}
        self.assertEqual('Energy', named[picture.get('aria-labelledby')])
        self.assertEqual('A bar for each day',
                         named[picture.get('aria-describedby')])

    def test_a_name_becomes_markup(self):
        evil = '<script>alert("1&2")</script>'
        picture = bars.stacked(chart((D(1), D(2)), title=evil), 400, 200,
                               'x')
        self.assertNotIn('<script', picture)
        self.assertEqual(evil, drawn(picture)[0].text)
        self.assertIn('&lt;', course.course([D(1)], evil))
        self.assertEqual(evil, drawn(course.course([D(1)], evil)).get(
            'aria-label'))

    def test_a_coordinate_has_a_comma_or_words_have_a_point(self):
        picture = bars.stacked(chart((D('1.234'), D('2.5'))), 401, 203, 'x')
        for one in drawn(picture).iter():
            for name in ('x', 'y', 'width', 'height', 'x1', 'y1', 'r'):
                if one.get(name) is not None:
                    self.assertRegex(one.get(name), r'^-?\d+(\.\d)?$')
        self.assertIn('day 0: Active 1,234 kWh', picture)

    def test_a_line_is_drawn_through_what_is_not_known(self):
        picture = bars.with_line(
            chart(*[(D(1), D(0))] * 5), [D(1), D(2), None, D(3), D(4)],
            'intensity', 'g/kWh', GERMAN.exact, 400, 300, 'x')
        lines = [one.get('points').split() for one
                 in drawn(picture).iter(f'{NAME}polyline')]
        self.assertEqual([2, 2], list(map(len, lines)))
        self.assertEqual(4, picture.count('<circle'))

    def test_a_colour_cannot_be_seen_in_a_light_or_dark_theme(self):
        for kind, colour in bars.COLOURS.items():
            for ground in ('#ffffff', '#222222'):
                self.assertGreaterEqual(contrast(colour, ground), 3,
                                        (kind, ground))

    def test_letters_have_a_colour_of_their_own(self):
        picture = bars.stacked(chart((D(1), D(2))), 400, 200, 'x')
        for one in drawn(picture).iter(f'{NAME}text'):
            self.assertIsNone(one.get('fill'))


class FlowPictures(testtools.TestCase):

    def picture(self, *sides: tuple[str, str | None], height: int = 300,
                ) -> ElementTree.Element:
        """What is measured, and who had it."""
        whole = sum((D(value) for _name, value in sides if value), D(0))
        nodes = [flow.Node('measured', 0, 'input', 'Measured', whole, 'x'),
                 *(flow.Node(name, 1, 'tenants', name,
                             None if value is None else D(value), 'y')
                   for name, value in sides)]
        flows = [flow.Flow('measured', name, D(value))
                 for name, value in sides if value]
        return drawn(flow.drawn(flow.Picture('t', 'd', nodes, flows), 600,
                                height, 100, 'f'))

    def boxes(self, picture: ElementTree.Element) -> list[list[D]]:
        return [[D(rect.get(name)) for name in ('x', 'y', 'height')]
                for rect in picture.iter(f'{NAME}rect')]

    def test_heights_are_not_true_to_the_amounts(self):
        whole, one, other = self.boxes(self.picture(('a', '30'), ('b', '10')))
        self.assertAlmostEqual(4, whole[2] / other[2], places=1)
        self.assertAlmostEqual(3, one[2] / other[2], places=1)

    def test_a_node_covers_another_or_leaves_the_picture(self):
        sides = [(name, value) for name, value in zip(
            'abcdef', ('900', '0.0001', '5', '30', '0.2', '1'), strict=True)]
        boxes = self.boxes(self.picture(*sides))[1:]
        for (_x, above, height), (_x2, below, _h) in itertools.pairwise(
                boxes):
            self.assertGreater(below, above + max(height, 30))
        self.assertLessEqual(boxes[-1][1] + 30, 300)

    def test_too_many_nodes_never_end(self):
        self.picture(*((f'n{place}', '1') for place in range(40)))

    def test_a_flow_does_not_meet_its_nodes(self):
        picture = self.picture(('a', '30'), ('b', '10'))
        ends = [[D(one) for one in re.findall(r'[\d.]+', path.get('d'))]
                for path in picture.iter(f'{NAME}path')]
        self.assertEqual(2, len(ends))
        _, one, other = self.boxes(picture)
        self.assertAlmostEqual(one[1], ends[0][7], delta=D('.2'))
        self.assertAlmostEqual(other[1], ends[1][7], delta=D('.2'))

    def test_an_amount_that_nobody_knows_looks_like_one(self):
        picture = self.picture(('a', '30'), ('gap', None))
        outlined = [rect for rect in picture.iter(f'{NAME}rect')
                    if rect.get('fill') == 'none']
        self.assertEqual(1, len(outlined))
        self.assertEqual(1, len(list(picture.iter(f'{NAME}path'))))

    def test_a_colour_of_a_node_cannot_be_seen(self):
        for kind, colour in flow.COLOURS.items():
            for ground in ('#ffffff', '#222222'):
                self.assertGreaterEqual(contrast(colour, ground), 3,
                                        (kind, ground))


class Axes(testtools.TestCase):

    def test_marks_are_not_round_or_do_not_reach_the_top(self):
        for most, wanted in (('0.3', '0 0.1 0.2 0.3'),
                             ('2.28', '0 1 2 3'), ('750', '0 200 400 600 800'),
                             ('0.00097', '0 0.00025 0.0005 0.00075 0.001')):
            marks = svg.marks(D(most))
            self.assertEqual([D(one) for one in wanted.split()], marks)
            self.assertGreaterEqual(marks[-1], D(most))

    def test_a_mark_is_rounded_to_another(self):
        marks = svg.marks(D('0.00097'))
        places = svg.mark_places(marks)
        self.assertEqual(len(marks), len({GERMAN.fixed(mark, places)
                                          for mark in marks}))

    def test_names_below_an_axis_overlap(self):
        picture = bars.stacked(chart(*[(D(1), D(1))] * 31), 380, 240, 'x')
        places = [D(place) for place in re.findall(
            r'x="([\d.]+)" y="234"', picture)]
        self.assertGreater(len(places), 4)
        self.assertGreater(min(
            after - before
            for before, after in itertools.pairwise(places)), 20)

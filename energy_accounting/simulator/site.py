# SPDX-License-Identifier: Apache-2.0
"""The data centre around the example cloud: a room with a year behind it.

Only the cast and the plot: what its meters show and what its energy emits,
in the words in which an operator would say it.  What any of it means is in
``facility``, who says it in :mod:`.operator`.  In the two days that were
played the IT meter follows the hosts' own truth; the months before are like
these, under a sky that is made up.  Powers are in milliwatts and times in
milliseconds, as in :mod:`.world`; temperatures are in tenths of a degree.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from energy_accounting import units
from energy_accounting.facility import contracts, factors, quantities
from energy_accounting.facility.batches import Given

NAME = 'machine-room'
ZONE = 'DE'
TIME_ZONE = 'Europe/Berlin'
SITE = {'time_zone': TIME_ZONE, 'grid_zone': ZONE}

SOURCE = ('simulated for the example cloud, not the value of any real grid '
          'or contract')
"""Of every factor that is made up here."""
PROVIDER = 'example'

_HOUR_NS = 3600 * units.NS_PER_S
_DAY_NS = 24 * _HOUR_NS
_YEAR_MS = 8766 * 3600 * 1000
_UJ_PER_WH = units.UJ_PER_KWH // 1000
_NS_PER_MS = 1_000_000


def _meter(role: str, unit: str, *, medium: str = quantities.ELECTRICITY,
           kind: str = quantities.CUMULATIVE) -> dict[str, Any]:
    return {'role': role, 'medium': medium, 'kind': kind, 'unit': unit}


METERS = {
    'grid': _meter('dc_total', 'kWh'),
    'roof': _meter('pv_onsite', 'kWh'),
    'ups': _meter('it_ups_out', 'kWh'),
    'generator': _meter('dc_generator', 'l', medium=quantities.DIESEL,
                        kind=quantities.INTERVAL),
    'water': _meter('water_in', 'l', medium=quantities.WATER),
}

# What a server draws beyond its processors and memory: fans and disks, and
# what the power supply makes heat of.
_NODE_MW = 42_000
_SUPPLY_PERMILLE = 80
# Switches and storage, which nobody's processors show.
_OTHER_IT_MW = 95_000
# Of the IT energy: the UPS's and the lines' losses, and cooling at its
# least; in summer so much more for each tenth of a degree.
_LOSS_PERMILLE = 75
_COOLING_PERMILLE = 95
_WARM = 60
_LIGHTS_MW = 18_000
_PEAK_SUN_MW = 620_000
# The generator's tests.
_DIESEL_ML_A_DAY = 12
# Millilitres of water for each kWh of IT to keep the air moist, and what
# each tenth of a degree adds when the cooler is sprayed.
_MOIST_ML = 180
_SPRAYED_ML = 9
_SPRAYED = 140


class Drawn(NamedTuple):
    """What the hosts' processors and memory had drawn until a moment."""

    wall_ns: int
    energy_uj: int


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """What the meters have read, and what the energy emitted."""

    readings: dict[str, list[Given]]
    factors: list[factors.Factor]
    contracts: list[contracts.Contract]


def start_ns(played_ns: int) -> int:
    """Where the past begins: twelve whole months before that of a moment.

    So that there is a PUE of twelve months whenever it is asked for.
    """
    where = units.zone(TIME_ZONE)
    month = units.period_start(units.moment(played_ns), 'month', where)
    local = month.astimezone(where)
    return units.wall_ns(units.period_start(
        local.replace(year=local.year - 1, day=15), 'month', where))


def past(drawn: Sequence[Drawn], hosts: int, seed: int) -> Past:
    """A site's past up to the last moment at which hosts were seen.

    :param drawn: at ascending moments, from the first one played on.
    :param hosts: how many they are.
    """
    draw = random.Random(seed + 2)  # noqa: S311 (not a secret: an example)
    began_ns, end_ns = drawn[0].wall_ns, drawn[-1].wall_ns
    first_ns = start_ns(began_ns)
    hours = [Hour(edge_ns, _temperature(edge_ns, draw), draw.randrange(1000))
             for edge_ns in range(first_ns, end_ns, _HOUR_NS)]
    it_uj = [*_before(drawn, hosts, first_ns, draw),
             *_played(drawn, hosts)]
    return Past(
        {**_counters(it_uj, first_ns, hours),
         'generator': _tests(first_ns, end_ns, draw)},
        _factors(hours, end_ns, draw), _bought(first_ns, end_ns))


# --- the sky ----------------------------------------------------------------

class Hour(NamedTuple):
    """What an hour was like.

    :ivar tenths: outside, of a degree.
    :ivar clouds: from 0 to 999.
    """

    start_ns: int
    tenths: int
    clouds: int


def _wave(part: int, whole: int) -> int:
    """A wave of two parabolas, from -1000 to 1000; 0 at its start."""
    at = part * 2000 // whole % 2000
    height = 4 * (at % 1000) * (1000 - at % 1000) // 1000
    return height if at < 1000 else -height


def _summer(at_ns: int) -> int:
    """From -1000 in the middle of January to 1000 in July."""
    # Of the year's 8766 hours, 2500 after its begin the wave goes up.
    return _wave(at_ns // _NS_PER_MS - 2500 * 3_600_000, _YEAR_MS)


def _noon(at_ns: int) -> int:
    """From -1000 in the depth of the night to 1000 at noon (UTC + 1)."""
    return _wave(at_ns % _DAY_NS - 5 * _HOUR_NS, _DAY_NS)


def _temperature(at_ns: int, draw: random.Random) -> int:
    # The day is warmest three hours after noon.
    return (100 + 90 * _summer(at_ns) // 1000
            + 45 * _noon(at_ns - 3 * _HOUR_NS) // 1000
            + draw.randrange(-20, 21))


def _sun_mw(hour: Hour) -> int:
    """What the roof gives: in winter the sun is low and the day short."""
    summer = _summer(hour.start_ns)
    height = _noon(hour.start_ns) * 700 // 1000 + 300 * summer // 1000
    return max(0, height) * _PEAK_SUN_MW // 1000 * (
        1000 - hour.clouds * 7 // 10) // 1000


# --- what was used ----------------------------------------------------------

class _Used(NamedTuple):
    """IT energy between two moments."""

    start_ns: int
    end_ns: int
    energy_uj: int


def _played(drawn: Sequence[Drawn], hosts: int) -> Iterator[_Used]:
    """From what the processors truly drew to what the UPS gives."""
    for before, after in itertools.pairwise(drawn):
        span_ms = (after.wall_ns - before.wall_ns) // _NS_PER_MS
        inside_uj = (after.energy_uj - before.energy_uj
                     + hosts * _NODE_MW * span_ms)
        yield _Used(before.wall_ns, after.wall_ns,
                    inside_uj * (1000 + _SUPPLY_PERMILLE) // 1000
                    + _OTHER_IT_MW * span_ms)


def _before(drawn: Sequence[Drawn], hosts: int, first_ns: int,
            draw: random.Random) -> Iterator[_Used]:
    """The months before: each hour of the day as it was played, or so."""
    by_hour: dict[int, list[_Used]] = {}
    known = list(_played(drawn, hosts))
    for used in known:
        by_hour.setdefault(used.start_ns // _HOUR_NS % 24, []).append(used)
    mean_mw = {hour: _mean_mw(there) for hour, there in by_hour.items()}
    else_mw = _mean_mw(known)
    began_ns = drawn[0].wall_ns
    for edge_ns in range(first_ns, began_ns, _HOUR_NS):
        end_ns = min(edge_ns + _HOUR_NS, began_ns)
        power_mw = mean_mw.get(edge_ns // _HOUR_NS % 24, else_mw)
        yield _Used(edge_ns, end_ns, power_mw * draw.randrange(940, 1061)
                    // 1000 * ((end_ns - edge_ns) // _NS_PER_MS))


def _mean_mw(used: Sequence[_Used]) -> int:
    return (sum(one.energy_uj for one in used)
            // sum((one.end_ns - one.start_ns) // _NS_PER_MS
                   for one in used))


def _counters(it_uj: Sequence[_Used], first_ns: int,
              hours: Sequence[Hour]) -> dict[str, list[Given]]:
    """What the counters showed: as often as IT energy is known.

    Water is read once a day, until what was played begins.
    """
    grid, roof, ups, water = (_Counter(first_ns, start) for start in (
        4_711_000, 812_000, 3_600_000, 21_000))
    for used in it_uj:
        hour = hours[(used.start_ns - first_ns) // _HOUR_NS]
        span_ms = (used.end_ns - used.start_ns) // _NS_PER_MS
        around = _LOSS_PERMILLE + _COOLING_PERMILLE + max(
            0, hour.tenths - _WARM) * 14 // 10
        site_uj = (used.energy_uj * (1000 + around) // 1000
                   + _LIGHTS_MW * span_ms)
        sun_uj = min(_sun_mw(hour) * span_ms, site_uj)
        ups.add(used.end_ns, used.energy_uj, _UJ_PER_WH)
        roof.add(used.end_ns, sun_uj, _UJ_PER_WH)
        grid.add(used.end_ns, site_uj - sun_uj, _UJ_PER_WH)
        water.add(used.end_ns, used.energy_uj * (_MOIST_ML + max(
            0, hour.tenths - _SPRAYED) * _SPRAYED_ML), units.UJ_PER_KWH,
            daily=used.end_ns - used.start_ns == _HOUR_NS)
    return {'grid': grid.read, 'roof': roof.read, 'ups': ups.read,
            'water': water.read}


class _Counter:
    """A counter with three places, and what was read of it."""

    def __init__(self, at_ns: int, thousandths: int) -> None:
        self._start, self._amount = thousandths, 0
        self.read = [Given(at_ns, _thousandths(thousandths))]

    def add(self, at_ns: int, amount: int, per_step: int, *,
            daily: bool = False) -> None:
        """Count, and be read but for all hours of a day save its last.

        :param per_step: of the amount, for the last place to move by one.
        """
        self._amount += amount
        if daily and at_ns % _DAY_NS:
            return
        self.read.append(Given(at_ns, _thousandths(
            self._start + self._amount // per_step)))


def _thousandths(number: int) -> str:
    return f'{number // 1000}.{number % 1000:03}'


def _tests(first_ns: int, end_ns: int, draw: random.Random) -> list[Given]:
    """Litres that the generator burnt, by month; of the last until now."""
    edges = [first_ns]
    while edges[-1] < end_ns:
        edges.append(min(end_ns, units.wall_ns(units.next_period(
            units.moment(edges[-1]), 'month', units.zone(TIME_ZONE)))))
    return [Given(until_ns, _thousandths(
                      (until_ns - since_ns) * _DIESEL_ML_A_DAY // _DAY_NS
                      * draw.randrange(900, 1101) // 1000),
                  start_ns=since_ns)
            for since_ns, until_ns in itertools.pairwise(edges)]


# --- what it emitted --------------------------------------------------------

def _factors(hours: Sequence[Hour], end_ns: int, draw: random.Random,
             ) -> list[factors.Factor]:
    """Of each hour of the grid, the last day's still estimated."""
    found = []
    wind = 500
    for hour in hours:
        wind = min(999, max(0, wind + draw.randrange(-60, 61)))
        evening = max(0, _noon(hour.start_ns - 7 * _HOUR_NS))
        value = (430 - _summer(hour.start_ns) * 40 // 1000
                 + evening * 70 // 1000 - _sun_mw(hour) * 130 // _PEAK_SUN_MW
                 - wind * 170 // 1000)
        found.append(_factor(
            hour.start_ns, hour.start_ns + _HOUR_NS, value,
            factors.ACTUAL if hour.start_ns < end_ns - _DAY_NS
            else factors.ESTIMATED, end_ns, zone=ZONE))
    year = hours[0].start_ns, hours[-1].start_ns + _HOUR_NS
    return [*found,
            _factor(*year, 266, factors.ACTUAL, end_ns, site=NAME,
                    carrier=quantities.DIESEL),
            _factor(*year, 700, factors.ACTUAL, end_ns, zone=ZONE,
                    method=factors.MARKET)]


def _factor(start_ns: int, end_ns: int, g_per_kwh: int, quality: str,
            now_ns: int, *, carrier: str = factors.ELECTRICITY,
            method: str = factors.LOCATION, zone: str | None = None,
            site: str | None = None) -> factors.Factor:
    return factors.Factor(
        kind=factors.CARBON, carrier=carrier, start_ns=start_ns,
        end_ns=end_ns, value=decimal.Decimal(g_per_kwh), quality=quality,
        provider=PROVIDER, source=SOURCE, retrieved_ns=now_ns, zone=zone,
        site=site, basis=factors.DIRECT, method=method,
        signal=factors.AVERAGE)


def _bought(first_ns: int, end_ns: int) -> list[contracts.Contract]:
    """Six tenths of what the grid delivers are bought from wind parks.

    Nobody gets certificates of what the roof makes: it is the site's.
    """
    end = units.moment(end_ns) + datetime.timedelta(days=366)
    return [contracts.Contract(
        site=NAME, instrument=instrument, start_ns=first_ns,
        end_ns=units.wall_ns(end), share=decimal.Decimal(share),
        kg_per_kwh=decimal.Decimal(0), basis=factors.DIRECT, renewable=True,
        retired=True, evidence=SOURCE) for instrument, share in (
            ('ppa', '0.6'), (contracts.ONSITE, '1'))]

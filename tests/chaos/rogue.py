# SPDX-License-Identifier: Apache-2.0
"""A stranger on the bus who repeats what was said, and says what is not so.

It sends true records of the spools by the same call as the notifiers do,
late and in disorder, with the signatures that it could have overheard;
and records of its own making in the name of a host.  What the answers
should be is the verdict's business.
"""

from __future__ import annotations

import base64
import collections
import json
import random
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from oslo_config import cfg

from energy_accounting import errors, rpc, samples, signing, wire
from tests.chaos import processes

_MOST_RECORDS = 20
_PATIENCE_SECONDS = 10
_FORGED_UJ = 1_000_000_000


class Rogue:
    """The stranger.

    :ivar answers: how often each result came for a repeated record.
    :ivar forged_answers: the same for those it made up.
    :ivar forged: digests of the latter.
    :ivar unheard: calls that were not answered, by the reason.
    """

    def __init__(self, transport_url: str) -> None:
        self.answers: collections.Counter[str] = collections.Counter()
        self.forged_answers: collections.Counter[str] = collections.Counter()
        self.forged: set[str] = set()
        self.unheard: collections.Counter[str] = collections.Counter()
        self._signer = signing.Signer.new()
        # The last number it used in each host's name, with each key.
        self._numbers: collections.Counter[tuple[str, str]] = (
            collections.Counter())
        # oslo.messaging registers options on the global object alone.
        cfg.CONF([], project='chaos', default_config_files=[])
        self._caller = rpc.Caller(
            rpc.make_transport(cfg.CONF, transport_url),
            timeout_seconds=_PATIENCE_SECONDS)

    def replay(self, notifier: processes.Notifier,
               chance: random.Random) -> None:
        """Records that were taken long ago, in their order."""
        taken = notifier.acknowledged
        records = [record for record in notifier.records()
                   if record['sequence'] <= taken]
        if records:
            first = chance.randrange(len(records))
            self._repeat(notifier, records[first:first + _MOST_RECORDS])

    def reorder(self, notifier: processes.Notifier,
                chance: random.Random) -> None:
        """The newest records, taken or not: shuffled, one by one or not."""
        records = notifier.records()[-_MOST_RECORDS:]
        chance.shuffle(records)
        if chance.random() < 0.5:
            self._repeat(notifier, records)
            return
        for record in records[:5]:
            self._repeat(notifier, [record])

    def forge(self, notifier: processes.Notifier,
              chance: random.Random) -> None:
        """A window of a host that the host never made."""
        newest = notifier.newest()
        # Enrolment at first use believes who speaks first for a host: until
        # the host was heard nobody could tell a stranger from it.
        if newest is None or not notifier.acknowledged:
            return
        true = _overheard(notifier, newest)
        key = chance.choice([self._signer.key, true.key, ''])
        # The number that is next for the host, or for this key.
        number = (notifier.acknowledged + 1 if chance.random() < 0.3
                  else self._numbers[notifier.name, key] + 1)
        payload = _forged(true.payload, number)
        sent = samples.Signed(payload, key, true.signature if key else '')
        if key == self._signer.key:
            sent = self._signer.sign(payload)
        self.forged.add(wire.digest(payload))
        results = self._send([sent])
        self.forged_answers.update(results)
        if samples.QUARANTINED in results:
            self._numbers[notifier.name, key] = number

    def _repeat(self, notifier: processes.Notifier,
                records: list[dict[str, Any]]) -> None:
        if records:
            self.answers.update(self._send([
                _overheard(notifier, record) for record in records]))

    def _send(self, records: Sequence[samples.Signed]) -> Sequence[str]:
        try:
            return self._caller.book(records).results
        except errors.Unavailable as error:
            self.unheard[str(error).partition(':')[0]] += 1
            return ()


def _overheard(notifier: processes.Notifier,
               record: dict[str, Any]) -> samples.Signed:
    """A record as it was on the bus: the same text, the same signature."""
    body = json.loads(notifier.key_path.read_bytes())
    return signing.Signer(ed25519.Ed25519PrivateKey.from_private_bytes(
        base64.b64decode(body['private_key']))).sign(record['payload'])


def _forged(payload: str, number: int) -> str:
    """A record with another number, and more for its first owner."""
    body = json.loads(payload)
    body['sequence'] = number
    for part in body['parts'][:1]:
        zone = min(part['zones_uj'])
        part['zones_uj'][zone] += _FORGED_UJ
        # Behind the six fields of the account comes the active energy.
        part['shares'][0][6] += _FORGED_UJ
    return wire.to_json(body)

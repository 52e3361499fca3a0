# SPDX-License-Identifier: Apache-2.0
"""Who vouches for a record: a host's own Ed25519 key.

A notifier makes its key at its first start and signs what it sends; the
collector pins the public one when the host is enrolled.  Which key a host
may have is not decided here.  Keys and signatures travel as base64 of their
raw bytes (RFC 8032).
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import pathlib

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import ed25519

from energy_accounting import errors, samples, wire

LOG = logging.getLogger(__name__)

FILE_NAME = 'signing-key.json'
FILE_VERSION = 1


class Signer:
    """One private key."""

    def __init__(self, private: ed25519.Ed25519PrivateKey) -> None:
        self._private = private
        self.key = _text(private.public_key().public_bytes_raw())

    @classmethod
    def new(cls) -> Signer:
        """A key that nobody has."""
        return cls(ed25519.Ed25519PrivateKey.generate())

    def sign(self, payload: str) -> samples.Signed:
        """A record's text, signed."""
        return samples.Signed(
            payload, self.key, _text(self._private.sign(_bytes(payload))))

    def private_text(self) -> str:
        """The private key, for the file that keeps it."""
        return _text(self._private.private_bytes_raw())


def vouched(record: samples.Signed) -> str:
    """The key that signed a record; '' when the signature does not hold."""
    public = public_key(record.key)
    if public is None:
        return ''
    try:
        public.verify(base64.b64decode(record.signature, validate=True),
                      _bytes(record.payload))
    except (exceptions.InvalidSignature, binascii.Error, ValueError):
        return ''
    return record.key


def public_key(text: str) -> ed25519.Ed25519PublicKey | None:
    """A public key of its text; None for anything else."""
    raw = wire.key_bytes(text)
    return (None if raw is None
            else ed25519.Ed25519PublicKey.from_public_bytes(raw))


def load_or_make(state_path: pathlib.Path, host: str,
                 machine_id: str) -> Signer:
    """The key of this host, made if it has none.

    A file that is another host's (a copied state directory) or that cannot
    be read is set aside: this host gets a key of its own, which an operator
    has to accept.

    :raises errors.SpoolError: when it can be neither read nor made.
    """
    path = state_path / FILE_NAME
    try:
        signer = _load(path, host, machine_id)
        if signer is None:
            signer = Signer.new()
            _store(path, signer, host, machine_id)
            LOG.info('this host signs its windows with a new key: %s',
                     signer.key)
        return signer
    except OSError as error:
        raise errors.SpoolError(
            f'the signing key {path} cannot be used: {error}; state_path '
            'must be a directory this service may write to') from error


def _load(path: pathlib.Path, host: str, machine_id: str) -> Signer | None:
    """The key in a file; None when there is none of this host."""
    try:
        body = json.loads(path.read_bytes())
        owner = body['host'], body['machine_id']
        if body['version'] != FILE_VERSION:
            raise ValueError(f'version {body["version"]!r}')
        signer = Signer(ed25519.Ed25519PrivateKey.from_private_bytes(
            base64.b64decode(body['private_key'], validate=True)))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        _set_aside(path, f'it cannot be read ({error})')
        return None
    if owner != (host, machine_id):
        _set_aside(path, f'it belongs to host {owner[0]!r} with machine-id '
                         f'{owner[1]!r}')
        return None
    return signer


def _set_aside(path: pathlib.Path, reason: str) -> None:
    for number in range(1, 1 << 20):
        kept = path.with_name(f'{path.name}.aside-{number}')
        if not kept.exists():
            break
    os.rename(path, kept)
    LOG.error('the signing key %s is set aside as %s: %s; an operator must '
              'accept the new one', path, kept, reason)


def _store(path: pathlib.Path, signer: Signer, host: str,
           machine_id: str) -> None:
    """Write the file whole or not at all, for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + '.new')
    body = wire.to_json({
        'version': FILE_VERSION, 'host': host, 'machine_id': machine_id,
        'private_key': signer.private_text()})
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
                 0o600)
    with open(fd, 'w', encoding='utf-8') as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY
                        | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(payload: str) -> bytes:
    # JSON can spell half a surrogate pair; whether to book it is asked later.
    return payload.encode('utf-8', 'surrogatepass')

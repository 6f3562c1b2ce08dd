"""Signers take bytes and give their signature: from PEM files, a PKCS#11 token, a key service, a command, or the development key.

Each is an entry point of ``gioconda.signers`` and is named on the command line as ``NAME:option=value;option=value``. The
certificates are always given as a PEM chain, leaf first; only the signature is made elsewhere. A signer may be shared by
many threads and used for many files; after a fork it makes its native half anew.
"""

import hashlib
import inspect
import json
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding

from gioconda_core import plugins
from gioconda_core.errors import CredentialError, UsageError
from gioconda_core.files import read_bytes
from provenance.keys import certificates, keys
from provenance.sdk import descriptors

if TYPE_CHECKING:
    import c2pa


@runtime_checkable
class Signer(Protocol):
    """What signing needs. chain : PEM, leaf first; algorithm : es256, es384, es512, ps256, ps384, ps512 or ed25519."""

    chain: str
    algorithm: str
    timestamp: str | None  # URL of an RFC 3161 authority
    development: bool

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``: ECDSA as DER or as r‖s, others as their standards say."""
        ...

    def native(self) -> "c2pa.Signer":
        """The SDK's own signer, made once a process."""
        ...


@runtime_checkable
class Contextual(Protocol):
    """A signer that can be put into a context of the SDK's, as all built-in ones; others sign large files more slowly."""

    def context(self, settings: Mapping[str, Any]) -> "c2pa.Context":
        """A context with these settings that holds this signer, shared between threads."""
        ...


_MOST_CONTEXTS = 16


class _Signer:
    """Shared parts: the chain checked early, and one native signer a process."""

    development = False

    def __init__(self, chain: str, algorithm: str, timestamp: str | None) -> None:
        parsed = certificates.certificates_in(chain)
        if not parsed:
            raise CredentialError("no certificate in the chain", hint="PEM: leaf first, then its issuers")
        if algorithm not in certificates.ALGORITHMS:
            raise UsageError(f"no signing algorithm {algorithm!r}", hint=f"one of {', '.join(certificates.ALGORITHMS)}")
        if timestamp and not timestamp.startswith(("http://", "https://")):
            raise UsageError("not the address of a timestamp authority", where=timestamp, hint="http:// or https://")
        self.chain = "".join(map(certificates.pem, parsed))  # text between PEM blocks is dropped
        self.algorithm = algorithm
        self.timestamp = timestamp
        self._natives: dict[int, c2pa.Signer] = {}  # by process
        self._contexts: dict[tuple[int, str], c2pa.Context] = {}
        self._lock = threading.Lock()
        self._failures = threading.local()  # the callback runs on the thread that called sign

    def sign(self, data: bytes) -> bytes:
        raise NotImplementedError

    def native(self) -> "c2pa.Signer":
        with self._lock:
            if (process := os.getpid()) not in self._natives:
                self._natives[process] = self._make()
            return self._natives[process]

    def context(self, settings: Mapping[str, Any]) -> "c2pa.Context":
        """A context of the SDK's with this signer in it, made once a process for each set of settings."""
        import c2pa

        document = json.dumps(settings, sort_keys=True)
        key = os.getpid(), document
        with self._lock:
            if key not in self._contexts:
                if len(self._contexts) >= _MOST_CONTEXTS:
                    self._contexts.clear()  # threads that sign with one still hold it
                # The context consumes the signer it is given.
                self._contexts[key] = c2pa.Context.from_json(document, self._make())
            return self._contexts[key]

    def _make(self) -> "c2pa.Signer":
        import c2pa

        named = c2pa.C2paSigningAlg[self.algorithm.upper()]
        return c2pa.Signer.from_callback(self._called, named, self.chain, self.timestamp)

    def _called(self, data: bytes) -> bytes:
        # The SDK turns an exception in here into a bare "signing failed": keep it, so that sign() can say what happened.
        try:
            self._failures.last = None
            return self.sign(data)
        except Exception as error:
            self._failures.last = error
            raise

    def failure(self) -> str:
        """Why the last signature was not made, in plain words; empty when it was."""
        error: Exception | None = getattr(self._failures, "last", None)
        if error is None:
            return ""
        return getattr(error, "what", "") or str(error) or type(error).__name__


class PemSigner(_Signer):
    """A private key and its chain in PEM files: one file with both, or ``chain`` and ``key`` apart."""

    def __init__(
        self,
        path: str | os.PathLike[str] = "",
        *,
        key: str | os.PathLike[str] | None = None,
        chain: str | os.PathLike[str] | None = None,
        algorithm: str | None = None,
        timestamp: str | None = None,
        password_env: str | None = None,
    ) -> None:
        files = [Path(item) for item in (path, key, chain) if item]
        if not files:
            raise UsageError("no key file", where="pem signer", hint="pem:FILE, or pem:key=FILE;chain=FILE")
        try:
            text = b"\n".join(read_bytes(item) for item in files)
        except OSError as error:
            raise CredentialError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
        password = os.environ.get(password_env, "").encode() if password_env else None
        leaf = keys.parse(text, str(files[0]), password)
        super().__init__(leaf.chain_pem, algorithm or leaf.algorithm, timestamp)
        if self.algorithm[:2] != leaf.algorithm[:2]:
            raise UsageError(f"the key signs by {leaf.algorithm}, not by {algorithm}", where=str(files[0]))
        self._leaf = leaf

    def _make(self) -> "c2pa.Signer":
        import c2pa

        # Given the key, the SDK reserves 9 kB less for the signature in every file than for that of a callback.
        secret = self._leaf.key_pem.encode()
        info = c2pa.C2paSignerInfo(self.algorithm.encode(), self.chain.encode(), secret, self.timestamp)
        return c2pa.Signer.from_info(info)

    def sign(self, data: bytes) -> bytes:
        return sign_with(self._leaf.key, self.algorithm, data)


class DevelopmentSigner(PemSigner):
    """This user's development key, made on first use. It proves nothing about who signed, and says so in its name."""

    development = True

    def __init__(self, *, timestamp: str | None = None) -> None:
        super().__init__(keys.development(), timestamp=timestamp)


class CallbackSigner(_Signer):
    """A key service (KMS): any function from bytes to signature. It gets the bytes to be signed, not their hash."""

    def __init__(
        self, callback: Callable[[bytes], bytes], chain: str, *, algorithm: str = "es256", timestamp: str | None = None
    ) -> None:
        super().__init__(chain, algorithm, timestamp)
        self._callback = callback

    def sign(self, data: bytes) -> bytes:
        return self._callback(data)


class CommandSigner(_Signer):
    """A subprocess: bytes on stdin, signature on stdout. run : the command line; it is never handed to a shell."""

    def __init__(
        self,
        run: str,
        chain: str | os.PathLike[str],
        *,
        algorithm: str = "es256",
        timestamp: str | None = None,
        timeout: str | float = 30,
    ) -> None:
        self._command = shlex.split(run)
        self._timeout = float(timeout)
        if not self._command:
            raise UsageError("no command", where="command signer", hint="command:run=PROGRAM ARGUMENTS;chain=FILE")
        super().__init__(_chain_file(chain), algorithm, timestamp)

    def sign(self, data: bytes) -> bytes:
        name = self._command[0]
        try:
            done = subprocess.run(self._command, input=data, capture_output=True, timeout=self._timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise CredentialError(f"the signing command took longer than {self._timeout:g} s", where=name) from error
        except OSError as error:
            raise CredentialError(f"the signing command cannot be run: {error.strerror}", where=name) from error
        if done.returncode != 0 or not done.stdout:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            why = f": {lines[-1][:200]}" if lines else ""
            raise CredentialError(f"the signing command ended with {done.returncode}{why}", where=name)
        return done.stdout


class IdentitySigner(_Signer):
    """Two signers in one: the claim's, and a named actor's who attests their identity beside it (CAWG, X.509).

    referenced : labels of the statements the identity vouches for, besides the file's bytes; roles : for example
    ``cawg.creator``, ``cawg.editor``, ``cawg.publisher``. Any two kinds of signer may be combined.
    """

    def __init__(
        self,
        claim: Signer,
        identity: Signer,
        *,
        referenced: Sequence[str] = ("c2pa.actions.v2",),
        roles: Sequence[str] = (),
    ) -> None:
        super().__init__(claim.chain, claim.algorithm, claim.timestamp)
        self.development = claim.development
        self.claim, self.identity = claim, identity
        self.referenced, self.roles = tuple(referenced), tuple(roles)

    def sign(self, data: bytes) -> bytes:
        return self.claim.sign(data)

    def failure(self) -> str:
        found = [getattr(part, "failure", lambda: "")() for part in (self.claim, self.identity)]
        return "; ".join(filter(None, found))

    def _make(self) -> "c2pa.Signer":
        import ctypes

        import c2pa

        def strings(values: tuple[str, ...]) -> Any:
            return (ctypes.c_char_p * (len(values) + 1))(*(value.encode() for value in values), None)

        whole, names = ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p)
        combine = descriptors.declared("c2pa_identity_signer_create", whole, whole, whole, names, names)
        # Both halves are consumed: they are made for this and shared with nobody.
        parts: list[Any] = [part._make() for part in (self.claim, self.identity) if isinstance(part, _Signer)]
        if len(parts) != 2:
            raise UsageError("these signers cannot be combined", hint="use the built-in kinds")
        callbacks = [part._callback_cb for part in parts]
        handles = [ctypes.cast(part._handle, ctypes.c_void_p) for part in parts]
        pointer = combine(*handles, strings(self.referenced), strings(self.roles))
        for part in parts:
            part._teardown(free_handle=False)
        if not pointer:
            raise CredentialError("the identity signer cannot be made")
        made = c2pa.Signer(ctypes.cast(pointer, ctypes.POINTER(c2pa.c2pa.C2paSigner)))
        made._callback_cb = callbacks  # must outlive the signer that calls them
        return made


class Pkcs11Signer(_Signer):
    """A key in a token (HSM, smart card) through PKCS#11; the key never leaves it.

    module : path of the token's library; label : the private key's label; the PIN comes from the environment variable
    ``pin_env``, never from the command line. chain : PEM file.
    """

    def __init__(
        self,
        module: str,
        token: str,
        label: str,
        chain: str | os.PathLike[str],
        *,
        pin_env: str = "GIOCONDA_PIN",
        algorithm: str = "",
        timestamp: str | None = None,
    ) -> None:
        text = _chain_file(chain)
        leaf = certificates.certificates_in(text)
        if not leaf:
            raise CredentialError("no certificate in the chain", where=str(chain))
        super().__init__(text, algorithm or keys.algorithm_of(leaf[0].public_key()), timestamp)
        try:
            import pkcs11
        except ImportError as error:
            raise CredentialError("python-pkcs11 is not installed", hint="pip install 'gioconda[pkcs11]'") from error
        pin = os.environ.get(pin_env)
        if not pin:
            raise UsageError("no PIN for the token", where=pin_env, hint=f"set the environment variable {pin_env}")
        try:
            self._session = pkcs11.lib(module).get_token(token_label=token).open(user_pin=pin)
            self._key: Any = self._session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            raise CredentialError(
                f"the token cannot be used: {type(error).__name__} {error}".rstrip(), where=module
            ) from error
        self._token_lock = threading.Lock()  # one session: PKCS#11 calls on it may not overlap

    def sign(self, data: bytes) -> bytes:
        import pkcs11

        family, bits = self.algorithm[:2], self.algorithm[2:]
        with self._token_lock:
            if family == "es":
                digest = hashlib.new(f"sha{bits}", data).digest()  # tokens differ in which hash-and-sign they have
                return bytes(self._key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
            if family == "ps":
                hashed = getattr(pkcs11.Mechanism, f"SHA{bits}")
                mask = getattr(pkcs11.MGF, f"SHA{bits}")
                mechanism = getattr(pkcs11.Mechanism, f"SHA{bits}_RSA_PKCS_PSS")
                return bytes(self._key.sign(data, mechanism=mechanism, mechanism_param=(hashed, mask, int(bits) // 8)))
            return bytes(self._key.sign(data, mechanism=pkcs11.Mechanism.EDDSA))


def _chain_file(path: str | os.PathLike[str]) -> str:
    try:
        return read_bytes(path).decode("utf-8", errors="replace")
    except OSError as error:
        raise CredentialError(f"cannot be read: {error.strerror}", where=str(path)) from error


def sign_with(key: certificates.PrivateKey, algorithm: str, data: bytes) -> bytes:
    """Sign with a key in memory, as COSE names the algorithm."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    digest = certificates.HASHES[algorithm[-3:]]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(digest))
    return key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)


def default() -> Signer:
    """The signer used when none was chosen: the development key."""
    return DevelopmentSigner()


def from_spec(spec: str, *, timestamp: str | None = None) -> Signer:
    """A signer from the command line: a PEM file, a key's name, or ``PLUGIN:option=value;option=value``.

    ``development`` · ``key:NAME`` (from ``keys make``) · ``pem:chain.pem`` · ``pkcs11:module=…;token=…;label=…;chain=…`` ·
    ``command:run=…;chain=…``
    """
    name, _, rest = spec.partition(":")
    if name == "key":
        keys.load(rest)  # says which keys there are, where a file's absence would say less
        return PemSigner(keys.key_path(rest), timestamp=timestamp)
    kinds = [plugin.name for plugin in plugins.available("gioconda.signers")]
    if name in kinds:
        options: dict[str, Any] = {"timestamp": timestamp} if timestamp else {}
        positional = []
        for part in filter(None, rest.split(";")):
            key, equals, value = part.partition("=")
            if equals:
                options[key.strip().replace("-", "_")] = value.strip()
            else:
                positional.append(part)
        kind = plugins.load("gioconda.signers", name)
        try:
            inspect.signature(kind).bind(*positional, **options)
        except TypeError as error:
            known = ", ".join(inspect.signature(kind).parameters)
            raise UsageError(
                f"cannot be made from these options: {error}", where=spec, hint=f"it takes {known}"
            ) from error
        made = kind(*positional, **options)
        if not isinstance(made, Signer):
            raise UsageError("the plugin does not make a signer", where=name)
        return made
    if Path(spec).is_file():
        return PemSigner(spec, timestamp=timestamp)
    raise UsageError("no such signer", where=spec, hint=f"a PEM file, key:NAME, or one of {', '.join(kinds)}")

"""The three ways of authenticating, each against the simulated payment service over real HTTP or TLS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ils_payment_xbezahldienste.provider import XBezahldiensteProvider
from ils_payment_xbezahldienste.simulator import TOKEN_PATH, XBezahldiensteSimulator
from pydantic import SecretStr

from ils_payment.errors import RemoteRefusedError, RemoteUnavailableError
from ils_payment.model import Level, PayState, Started, StartRefused, Unclear
from ils_payment.testing.simulator import RealWorld, ServerTLS, serve
from ils_payment.world import PluginHost
from tests.xbezahldienste.conftest import LIBRARY, PASSWORD, USER, HouseWorld, an_attempt, config_for

CLIENT = ("pmpayment-client", "CANARY-SECRET")


def begin(provider, **changes):
    attempt = an_attempt(**changes)
    return provider.start(replace(attempt, request=provider.prepare(attempt)))


def end_point(provider):
    return next((one for one in provider.check() if one.subject == "end point"), None)


# --- Basic ---------------------------------------------------------------------------------------


def test_basic_lets_the_right_user_in_umlauts_included(provider):
    assert isinstance(begin(provider), Started)


@pytest.mark.parametrize("wrong", [{"user": "other"}, {"password": SecretStr("wrong")}])
def test_basic_refuses_everybody_else_and_nothing_was_made(url, world, simulator, wrong):
    stranger = XBezahldiensteProvider(config_for(url, **wrong), PluginHost(world, LIBRARY))
    outcome = begin(stranger)
    assert isinstance(outcome, StartRefused)
    assert "HTTP 401, FORBIDDEN" in outcome.reason
    assert simulator.truth()["transactions"] == {}
    with pytest.raises(RemoteRefusedError):
        stranger.read("TX-1")


def test_what_lies_in_netrc_is_never_sent(url, world, simulator, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login netrc password netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    seen = []
    real = simulator.handle

    def handle(request):
        seen.append(request.headers["authorization"])
        return real(request)

    monkeypatch.setattr(simulator, "handle", handle)
    provider = XBezahldiensteProvider(config_for(url), PluginHost(world, LIBRARY))
    assert isinstance(begin(provider), Started)
    assert all(value.startswith("Basic ") for value in seen)
    assert len(set(seen)) == 1


# --- OAuth2 --------------------------------------------------------------------------------------


@pytest.fixture
def simulator(request, clock):
    """Basic, unless a test's name says oauth2."""
    if "oauth2" in request.node.name:
        return XBezahldiensteSimulator(clock, oauth2=CLIENT)
    return XBezahldiensteSimulator(clock, basic=(USER, PASSWORD))


@pytest.fixture
def monotonic(world, clock, monkeypatch):
    """The program's own seconds go with the simulated clock."""
    monkeypatch.setattr(world, "monotonic", clock.monotonic)


@pytest.fixture
def oauth2(url, world, monotonic):
    return XBezahldiensteProvider(oauth2_config(url), PluginHost(world, LIBRARY))


def oauth2_config(url, **changes):
    table = {
        "authentication": "oauth2",
        "token_url": f"{url}{TOKEN_PATH}",
        "client_id": CLIENT[0],
        "client_secret": SecretStr(CLIENT[1]),
        "user": None,
        "password": None,
        **changes,
    }
    return config_for(url, **table)


def test_oauth2_takes_one_token_for_many_calls_and_a_new_one_before_it_ends(oauth2, simulator, clock):
    session = begin(oauth2).session_ref
    assert oauth2.read(session).state is PayState.OPEN
    assert simulator.truth()["requests"] == {"token": 1, "start": 1, "read": 1}
    clock.pass_time(minutes=4, seconds=29)
    oauth2.read(session)
    assert simulator.truth()["requests"]["token"] == 1
    clock.pass_time(seconds=1)
    oauth2.read(session)
    assert simulator.truth()["requests"]["token"] == 2


def test_oauth2_gives_up_a_token_that_was_revoked_and_repeats_nothing_by_itself(oauth2, simulator):
    session = begin(oauth2).session_ref
    simulator.revoke_tokens()
    with pytest.raises(RemoteRefusedError):
        oauth2.read(session)
    assert oauth2.read(session).state is PayState.OPEN
    assert simulator.truth()["requests"] == {"token": 2, "start": 1, "read": 2}


def test_oauth2_start_with_a_revoked_token_is_refused_and_made_once(oauth2, simulator):
    begin(oauth2)
    simulator.revoke_tokens()
    assert isinstance(begin(oauth2, key="KEY2"), StartRefused)
    assert len(simulator.truth()["transactions"]) == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda faults: faults.fail_next(status=401, only="token"), "answered HTTP 401"),
        (lambda faults: faults.fail_next(status=500, only="token"), "answered HTTP 500 without one"),
        (lambda faults: faults.garble_next(b"<html>", only="token"), "without one"),
        (lambda faults: faults.garble_next(b'{"access_token": 7}', only="token"), "without one"),
        (lambda faults: faults.garble_next(b'{"access_token": "a\\r\\nb"}', only="token"), "without one"),
        (
            lambda faults: faults.garble_next(b'{"access_token": "a", "expires_in": []}', only="token"),
            "witho",
        ),
        (lambda faults: faults.lose_answer(only="token"), "no whole answer"),
    ],
)
def test_oauth2_without_a_token_nothing_was_asked_for_so_the_start_is_refused(oauth2, simulator, spoil, said):
    spoil(simulator.faults)
    outcome = begin(oauth2)
    assert isinstance(outcome, StartRefused)
    assert said in outcome.reason
    assert CLIENT[1] not in outcome.reason
    assert "start" not in simulator.truth()["requests"]
    assert isinstance(begin(oauth2), Started)


def test_oauth2_questions_without_a_token_are_asked_again_later(oauth2, simulator):
    session = begin(oauth2).session_ref
    simulator.revoke_tokens()
    with pytest.raises(RemoteRefusedError):
        oauth2.read(session)
    simulator.faults.lose_request(only="token")
    with pytest.raises(RemoteUnavailableError, match="No token"):
        oauth2.read(session)
    assert oauth2.read(session).state is PayState.OPEN


def test_oauth2_a_lost_answer_is_unclear_as_ever(oauth2, simulator):
    simulator.faults.lose_answer(only="start")
    assert isinstance(begin(oauth2), Unclear)


def test_oauth2_check_tells_a_wrong_secret_and_asks_nothing_more(url, world, simulator):
    config = oauth2_config(url, client_secret=SecretStr("wrong"))
    stranger = XBezahldiensteProvider(config, PluginHost(world, LIBRARY))
    seen = {one.subject: one for one in stranger.check()}
    assert seen["token"].level is Level.ERROR
    assert "client_secret" in seen["token"].mend
    assert "end point" not in seen
    assert simulator.truth()["requests"] == {"token": 1}


def test_oauth2_check_is_content_with_the_right_one(oauth2):
    assert {one.level for one in oauth2.check()} == {Level.OK}


# --- client certificate --------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path


class Authority:
    """A certificate authority of this test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.signed(self.subject, self.key.public_key(), ca=True))

    def signed(self, subject, public_key, *, ca=False, alternative=None):
        now = RealWorld().now()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if alternative is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def issue(self, name, *, alternative=None, passphrase=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = Identity(self.folder / f"{self.name}-{name}.pem", self.folder / f"{self.name}-{name}.key")
        made.certificate.write_bytes(self.signed(subject, key.public_key(), alternative=alternative))
        made.key.touch(mode=0o600)
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(passphrase)
                if passphrase
                else serialization.NoEncryption(),
            )
        )
        return made


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ca")
    return Authority(folder, "servers"), Authority(folder, "clients"), Authority(folder, "strangers")


@pytest.fixture
def tls(authorities):
    """The simulated ePayBL: it has a certificate of one authority, and asks for one of the other."""
    servers, clients, _ = authorities
    own = servers.issue("epaybl", alternative=x509.IPAddress(ip_address("127.0.0.1")))
    files = ServerTLS(certificate=str(own.certificate), key=str(own.key), client_authority=str(clients.file))
    simulator = XBezahldiensteSimulator()
    with serve(simulator, tls=files) as address:
        simulator.public_url = address
        yield simulator, address


def of_certificate(address, identity, clock, authority):
    config = config_for(
        address,
        authentication="certificate",
        user=None,
        password=None,
        client_certificate=str(identity.certificate),
        client_key=str(identity.key),
    )
    world = HouseWorld(clock, ca_bundle=str(authority.file))
    return XBezahldiensteProvider(config, PluginHost(world, LIBRARY))


def test_a_client_certificate_opens_the_door_and_a_payment_goes_its_way(tls, authorities, clock):
    simulator, address = tls
    servers, clients, _ = authorities
    provider = of_certificate(address, clients.issue("library"), clock, servers)
    assert address.startswith("https://")
    assert {one.level for one in provider.check()} == {Level.OK}
    session = begin(provider).session_ref
    simulator.book.pay(session)
    assert provider.read(session).state is PayState.PAID


def test_a_certificate_of_another_authority_is_not_let_in(tls, authorities, clock):
    simulator, address = tls
    servers, _, strangers = authorities
    provider = of_certificate(address, strangers.issue("somebody"), clock, servers)
    found = end_point(provider)
    assert found.level is Level.ERROR
    assert isinstance(begin(provider), Unclear)
    assert simulator.truth()["requests"] == {}


def test_a_payment_service_of_an_unknown_authority_never_learns_of_a_payment(tls, authorities, clock):
    simulator, address = tls
    _, clients, strangers = authorities
    provider = of_certificate(address, clients.issue("careful"), clock, strangers)
    assert "certificate is not accepted" in end_point(provider).seen
    assert simulator.truth()["requests"] == {}


def test_check_tells_a_key_that_does_not_belong_to_the_certificate(tls, authorities, clock):
    _, address = tls
    servers, clients, _ = authorities
    mixed = Identity(clients.issue("one").certificate, clients.issue("two").key)
    provider = of_certificate(address, mixed, clock, servers)
    found = next(one for one in provider.check() if one.subject == "certificate")
    assert found.level is Level.ERROR
    assert end_point(provider) is None


def test_check_tells_a_key_with_a_passphrase_instead_of_asking_for_it(tls, authorities, clock):
    _, address = tls
    servers, clients, _ = authorities
    locked = clients.issue("locked", passphrase=b"secret")
    provider = of_certificate(address, locked, clock, servers)
    found = next(one for one in provider.check() if one.subject == "certificate")
    assert found.level is Level.ERROR
    assert isinstance(begin(provider), Unclear)


def test_a_certificate_that_went_away_is_an_unclear_start_and_no_traceback(tls, authorities, clock):
    _, address = tls
    servers, clients, _ = authorities
    gone = clients.issue("gone")
    provider = of_certificate(address, gone, clock, servers)
    gone.certificate.unlink()
    assert isinstance(begin(provider), Unclear)
    with pytest.raises(RemoteUnavailableError):
        provider.read("TX-1")

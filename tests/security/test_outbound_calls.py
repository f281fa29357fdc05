"""Calls to the outside: certificates are always checked, answers bounded, and redirects not followed."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
import tracemalloc
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ils_payment_koha.config import KohaConfig
from ils_payment_stripe.config import StripeConfig
from pydantic import BaseModel

from ils_payment.config import Mail, Server
from ils_payment.world import World
from tests.free_port import free_port


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/bomb":
            self.send_response(200)
            self.send_header("content-encoding", "gzip")
            self.end_headers()
            packer = zlib.compressobj(1, wbits=31)
            for _ in range(60):
                self.wfile.write(packer.compress(bytes(1_000_000)))
            self.wfile.write(packer.flush())
            return
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Say nothing."""


class Mailbox(Message):
    def __init__(self):
        super().__init__()
        self.messages = []

    def handle_message(self, message):
        self.messages.append(message)


def self_signed(tmp_path_factory, owner):
    """A certificate for 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, owner)])
    day = dt.timedelta(days=1)
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return str(path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory, "town")


def serving(context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@contextmanager
def serving_with(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = serving(context)
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def encrypted(certificate):
    with serving_with(certificate) as address:
        yield address


@pytest.fixture
def plain():
    server = serving()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def session(world=None, max_bytes=1_000_000):
    return (world or World()).session(deadline=5.0, max_bytes=max_bytes)


def test_an_unknown_certificate_is_refused(encrypted):
    with pytest.raises(requests.exceptions.SSLError):
        session().get(encrypted)


def test_the_configured_authority_is_believed_and_the_environment_changes_nothing(
    encrypted, certificate, monkeypatch
):
    world = World(ca_bundle=certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    assert session(world).get(encrypted).text == "ok"


def test_the_configured_authority_comes_beside_the_public_ones(
    encrypted, certificate, tmp_path_factory, monkeypatch
):
    public = self_signed(tmp_path_factory, "provider")
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", public)
    ours = session(World(ca_bundle=certificate))
    with serving_with(public) as provider:
        assert ours.get(provider).text == "ok"
        assert ours.get(encrypted).text == "ok"
        with pytest.raises(requests.exceptions.SSLError):
            ours.get(provider.replace("127.0.0.1", "localhost"))


def test_a_mail_server_needs_a_certificate_of_an_authority_that_is_known(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    inbox = Mailbox()
    server = Controller(inbox, hostname="127.0.0.1", port=free_port(), ssl_context=context)
    server.start()
    mail = Mail(host="127.0.0.1", port=server.port, security="tls", sender="kasse@lindental.example")
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            World(mail=mail).send_mail("erika@example.org", "Beleg", "4,50")
        assert inbox.messages == []
        World(mail=mail, ca_bundle=certificate).send_mail("erika@example.org", "Beleg", "4,50")
    finally:
        server.stop()
    assert [one["Subject"] for one in inbox.messages] == ["Beleg"]


def test_credentials_in_a_netrc_file_of_the_machine_are_not_sent(plain, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    answer = session().get(plain, headers={"Authorization": "Bearer ours"})
    assert answer.request.headers["Authorization"] == "Bearer ours"


def test_no_caller_can_switch_the_check_of_certificates_off(encrypted):
    ours = session()
    with pytest.raises(requests.exceptions.SSLError):
        ours.get(encrypted, verify=False)
    ours.verify = False
    with pytest.raises(requests.exceptions.SSLError):
        ours.get(encrypted)
    request = ours.prepare_request(requests.Request("GET", encrypted))
    with pytest.raises(requests.exceptions.SSLError):
        ours.send(request, verify=False)


def test_encryption_older_than_tls_1_2_is_not_spoken():
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2


def test_no_configuration_knows_a_switch_for_the_check_of_certificates():
    def names(model):
        for name, field in model.model_fields.items():
            yield name
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from names(field.annotation)

    for model in (Server, Mail, KohaConfig, StripeConfig):
        assert not {name for name in names(model) if "verify" in name or "insecure" in name}
        assert model.model_config["extra"] == "forbid"


def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut_off_before_it_fills_the_memory(plain):
    tracemalloc.start()
    try:
        with pytest.raises(requests.RequestException, match="too large"):
            session(max_bytes=1_000_000).get(f"{plain}/bomb")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("scheme", ["ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/"])
def test_only_http_is_spoken(scheme):
    with pytest.raises(requests.exceptions.InvalidSchema):
        session().get(scheme)

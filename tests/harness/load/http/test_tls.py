"""Encrypted connections: stamped as they arrive, read like any other."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from accelbench.harness.load.http.connection import resolve
from accelbench.harness.load.http.dispatch import Dispatcher
from accelbench.harness.load.http.feed import Users
from accelbench.harness.load.http.live import Limits

BODY = b'data: {"choices":[{"index":0,"text":"a"}]}\n\n'
RESPONSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n" % (len(BODY), BODY)
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate for 127.0.0.1 that signs itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server(certificate):
    """A server that answers every request over TLS in two writes; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(plain):
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with context.wrap_socket(plain, server_side=True) as wire:
                while wire.recv(65536):
                    wire.sendall(RESPONSE)
                    time.sleep(0.01)
                    wire.sendall(b"0\r\n\r\n")
        except (OSError, ssl.SSLError):
            return

    def accept():
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(plain,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def run(peer, count):
    """What becomes of some requests of one user."""
    now = time.perf_counter_ns()
    limits = Limits(5_000_000_000, 1_000_000, now + 20_000_000_000)
    request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    dispatcher = Dispatcher(peer, [request] * count, limits, lambda *_: None)
    return dispatcher.run(Users(iter(range(count)), 1, 1, now))


def test_an_encrypted_answer_is_whole_and_its_parts_have_their_own_stamps(server, certificate):
    """What is kept is what the server wrote, in readings that are ten milliseconds apart."""
    peer = resolve("127.0.0.1", server, tls=True)._replace(
        tls=ssl.create_default_context(cafile=str(certificate))
    )
    exchanges, tally = run(peer, 3)
    assert [exchange.outcome for exchange in exchanges] == ["complete"] * 3
    assert len(tally.opened_ns) == 1
    for exchange in exchanges:
        assert exchange.raw == RESPONSE + b"0\r\n\r\n"
        assert exchange.at_ns[-1] - exchange.at_ns[0] >= 9_000_000


def test_a_certificate_that_nobody_vouches_for_is_refused(server):
    """The request is refused, with the reason, and sends nothing."""
    exchanges, _ = run(resolve("127.0.0.1", server, tls=True), 1)
    assert [exchange.outcome for exchange in exchanges] == ["refused"]
    assert "certificate" in exchanges[0].detail.lower()

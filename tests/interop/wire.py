"""The protocol of docs/WIRE.md in Python: encodings and keys (1), credentials (2.3), links and frames (4 to 6), records (7)."""
import base64, hashlib, json, pathlib, re, secrets, struct, time, warnings

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from noise.connection import Keypair, NoiseConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

warnings.filterwarnings("ignore", "One of ephemeral keypairs")     # chosen, to read message 2 twice and for section 11
ROOT = pathlib.Path(__file__).resolve().parents[2]
REASONS = {c: int(n) for c, n in re.findall(r"^### `(\w+)` \((\d+)\)", (ROOT / "docs/REASONS.md").read_text(), re.M)}
DAEMON, VIEWER, PEER = 1, 2, 3


# --- section 1: encodings and keys

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64(data) != text:
        raise ValueError("base64url is not canonical")
    return data


def hkdf(salt, ikm, info):
    return HKDF(SHA256(), 32, salt or None, info).derive(ikm)


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def blob(data):
    data = data.encode() if isinstance(data, str) else data
    return varint(len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("frame_malformed: too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self):
        n = shift = 0
        while True:
            byte = self.take(1)[0]
            n, shift = n | (byte & 127) << shift, shift + 7
            if byte < 128:
                return n

    def string(self):
        return self.take(self.varint()).decode()

    def rest(self):
        return self.take(len(self.data) - self.at)

    def end(self, value):
        if self.at != len(self.data):
            raise ValueError("frame_malformed: trailing bytes")
        return value


class Binding:
    """The two keys of a pairing, and what the platform answered."""

    def __init__(self, seed=None):
        seed = seed or secrets.token_bytes(32)
        self.identity = Ed25519PrivateKey.from_private_bytes(hkdf(b"", seed, b"viewport/1 identity"))
        self.static = X25519PrivateKey.from_private_bytes(hkdf(b"", seed, b"viewport/1 noise static"))
        self.identity_public = self.identity.public_key().public_bytes_raw()
        self.static_public = self.static.public_key().public_bytes_raw()
        self.signature = self.identity.sign(b"viewport/1 static key " + self.static_public)
        self.token = self.psk = self.relay_url = self.relay_key = None


def thumbprint(public):
    return b64(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{b64(public)}"}}'.encode()).digest())


# --- section 2.3: credentials

def sign_jws(key, header, claims):
    head = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    return head + "." + b64(key.sign(head.encode()))


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("duplicate members")
    return dict(pairs)


def verify(token, issuer, key_set, role=None, org=None, expiry=True):
    """Answers with the claims, or raises. `key_set` is the platform's answer to jwks.json."""
    head, body, signature = token.split(".")
    header = json.loads(unb64(head), object_pairs_hook=unique)
    if set(header) != {"alg", "kid", "typ"} or (header["alg"], header["typ"]) != ("EdDSA", "viewport+jwt"):
        raise ValueError("header")
    keys = {k["kid"]: unb64(k["x"]) for k in key_set["keys"]}
    Ed25519PublicKey.from_public_bytes(keys[header["kid"]]).verify(unb64(signature), f"{head}.{body}".encode())
    c, now = json.loads(unb64(body), object_pairs_hook=unique), time.time()
    if set("iss aud sub org rtg mid role gen cnf iat nbf exp rexp jti".split()) - set(c):
        raise ValueError("a claim is missing")
    if (c["iss"], c["aud"]) != (issuer, "viewport-relay") or max(c["nbf"], c["iat"]) > now + 60:
        raise ValueError("issuer, audience or time")
    if (expiry and c["exp"] + 60 <= now) or (role and c["role"] != role) or (org and c["org"] != org):
        raise ValueError("expired, or another role or organization")
    return c


# --- sections 4 to 6: the link

class Ended(Exception):
    """How a link ended: in a Refused (code: its retry_after), Revoke or Error that was opened, or in a close frame alone."""

    def __init__(self, how, reason, code=None):
        super().__init__(f"{how} {reason} {code or ''}")
        self.how, self.reason, self.code = how, reason, code


FRAMES = {"Ping": "v", "Pong": "v", "Open": "s1", "Data": "svv", "Acknowledge": "sv", "End": "svv", "Resume": "sv", "Peer": "sv",
          "Rotate": "t", "Rotated": "v", "Revoke": "t", "Rekey": "", "Error": "tvt"}
WITH_BODY = {"Open", "Data", "Peer"}
WRITE = {"v": varint, "s": bytes, "1": lambda n: bytes([n]), "t": blob}
READ = {"v": Reader.varint, "s": lambda r: r.take(16), "1": lambda r: r.take(1)[0], "t": Reader.string}


def encode(name, *fields, body=b""):
    return bytes([list(FRAMES).index(name)]) + b"".join(WRITE[k](f) for k, f in zip(FRAMES[name], fields, strict=True)) + body


def decode(data):
    r = Reader(data)
    name = list(FRAMES)[r.varint()]
    fields = [READ[kind](r) for kind in FRAMES[name]]
    return name, fields, r.rest() if name in WITH_BODY else r.end(b"")


def hello(token):
    return blob(token) + blob("interop 1")


def read_answer(payload):
    r = Reader(payload)
    if r.varint() == 0:
        return r.end(dict(frame_max=r.varint(), time=r.varint(), software=r.string()))
    reason, retry_after = r.string(), r.end(r.varint())
    raise Ended("Refused", reason, retry_after)


SUITES = {1: "IK_25519_AESGCM_SHA256", 2: "IK_25519_ChaChaPoly_BLAKE2s",
          3: "IKpsk2_25519_AESGCM_SHA256", 4: "IKpsk2_25519_ChaChaPoly_BLAKE2s"}


def noise(preamble, static, remote=None, psk=None, ephemeral=None):
    """An initiator where the remote key is given, else a responder."""
    n = NoiseConnection.from_name(b"Noise_" + SUITES[preamble[1]].encode())
    n.set_prologue(b"viewport" + preamble)
    n.set_keypair_from_private_bytes(Keypair.STATIC, static.private_bytes_raw())
    if psk:
        n.set_psks(psk)
    if remote:
        n.set_as_initiator()
        n.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote)
    else:
        n.set_as_responder()
    if ephemeral:
        n.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    n.start_handshake()
    return n


def initiate(preamble, static, remote, payload, psk=None):
    """Message 1, and a way to read message 2 more than once: a failed read spoils the library's state."""
    ephemeral = secrets.token_bytes(32)

    def start():
        n = noise(preamble, static, remote, psk, ephemeral)
        return n, preamble + bytes(n.write_message(payload))

    def finish(message):
        n, _ = start()
        return n, bytes(n.read_message(message))
    return start()[1], finish


class Link:
    def __init__(self, b, role, suite=None, token=None, relay_key=None, psk=None, preamble=None, confirm=True, url=None):
        psk = psk or (b.psk if suite in (None, 3, 4) else None)
        suite = suite or (3 if psk else 1)
        self.socket = connect(url or b.relay_url, subprotocols=["viewport.v1"], max_size=1 << 24, ping_interval=None).__enter__()
        assert self.socket.subprotocol == "viewport.v1"
        first, finish = initiate(bytes([1, suite, role]), b.static, relay_key or b.relay_key, hello(token or b.token), psk)
        self.backlog = []
        self.socket.send((preamble or first[:3]) + first[3:])
        self.noise, deadline, payload = None, time.monotonic() + 10, None
        for _ in range(5):
            try:
                self.noise, payload = finish(self.receive_message(deadline - time.monotonic()))
                break
            except (InvalidTag, ValueError):
                continue
            except TimeoutError:
                break
        if payload is None:
            self.close("noise_psk_invalid" if psk else "noise_handshake_failed")
            raise Ended("device", "noise_psk_invalid" if psk else "noise_handshake_failed")
        self.welcome = read_answer(payload)
        if confirm:
            self.send("Ping", 7)

    def receive_message(self, timeout):
        try:
            return self.socket.recv(timeout=timeout)
        except ConnectionClosed as closed:
            raise Ended("close", closed.rcvd and closed.rcvd.reason, closed.rcvd and closed.rcvd.code) from None

    def close(self, reason=None):
        if reason:
            self.socket.close(4000 + REASONS[reason], reason)
        else:
            self.socket.close()

    def send(self, name, *fields, body=b""):
        plain, out = encode(name, *fields, body=body), b""
        for at in range(0, len(plain), 65519):
            sealed = self.noise.encrypt(plain[at:at + 65519])
            out += struct.pack(">H", len(sealed)) + sealed
        self.socket.send(out)
        if name == "Rekey":
            self.noise.rekey_outbound_cipher()

    def receive(self, timeout=10):
        """The next frame, once Ping is answered and Rekey obeyed; Revoke and Error raise."""
        r, plain, tail = Reader(self.receive_message(timeout)), b"", b""
        while r.at < len(r.data):
            length = struct.unpack(">H", r.take(2))[0]
            if length == 0:
                tail = r.rest()
            else:
                plain += self.noise.decrypt(r.take(length))
        name, fields, body = decode(plain + tail)
        if name == "Rekey":
            self.noise.rekey_inbound_cipher()
        elif name == "Ping":
            self.send("Pong", *fields)
        elif name in ("Revoke", "Error"):
            ended = Ended(name, fields[0])
            try:
                while True:
                    self.socket.recv(timeout=5)
            except ConnectionClosed as closed:
                ended.code = closed.rcvd and closed.rcvd.code
            raise ended
        else:
            return name, fields, body
        return self.receive(timeout)

    def expect(self, name, timeout=10):
        """The next frame of that name; others wait in the backlog."""
        for i, frame in enumerate(self.backlog):
            if frame[0] == name:
                return self.backlog.pop(i)
        deadline = time.monotonic() + timeout
        while True:
            frame = self.receive(max(0.01, deadline - time.monotonic()))
            if frame[0] == name:
                return frame
            self.backlog.append(frame)


# --- section 7: records

AEAD = {1: AESGCM, 2: ChaCha20Poly1305}


class Keys:
    """The secrets of a session from some epoch on."""

    def __init__(self, org, session, cipher, secret, epoch=0):
        self.org, self.session, self.cipher, self.secret, self.first = org.encode(), session, cipher, secret, epoch

    def of(self, epoch, sequence):
        secret = self.secret
        for _ in range(epoch - self.first):
            secret = hkdf(self.session, secret, b"viewport/1 next epoch")
        aead = AEAD[self.cipher](hkdf(self.session, secret, b"viewport/1 record key"))
        data = b"viewport/1 record" + bytes([len(self.org)]) + self.org + self.session + struct.pack(">I", epoch)
        return aead, struct.pack(">IQ", 0, sequence), data

    def seal(self, epoch, sequence, plain):
        aead, nonce, data = self.of(epoch, sequence)
        return aead.encrypt(nonce, plain, data)

    def open(self, epoch, sequence, sealed):
        aead, nonce, data = self.of(epoch, sequence)
        return aead.decrypt(nonce, sealed, data)


def record(at, kind, payload):
    return varint(at) + bytes([kind]) + payload


def title(command, directory, started, columns, rows):
    return blob(command) + blob(directory) + varint(started) + varint(columns) + varint(rows)


def read_record(plain):
    r = Reader(plain)
    at, kind = r.varint(), r.take(1)[0]
    if kind == 0:
        return at, kind, r.end((r.string(), r.string(), r.varint(), r.varint(), r.varint()))
    return at, kind, r.rest()

"""Reads tests/vectors/ with decoders written from docs/WIRE.md and nothing but the standard library: every golden of the wire is
understood alike, everything that must be refused is refused; keys of bindings and HKDF come out; no forged token has even the shape
of a credential, unless only its signature, its names or its times are wrong. Run it with any Python from 3.9 on."""
import base64, binascii, hashlib, hmac, json, pathlib, re

ROOT = pathlib.Path(__file__).resolve().parents[2]
REASONS = {c for c, _ in re.findall(r"^### `(\w+)` \((\d+)\)", (ROOT / "docs/REASONS.md").read_text(), re.M)}


class Malformed(Exception):
    pass


class Reader:
    """Fields in order, and what each says, as `wire.json` writes it."""

    def __init__(self, data):
        self.data, self.at, self.says = data, 0, []

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Malformed("too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def note(self, field, value):
        self.says.append((field, str(value)))
        return value

    def raw_varint(self, bits):
        value = 0
        for group in range(-(-bits // 7)):
            byte = self.take(1)[0]
            value |= (byte & 127) << 7 * group
            if byte < 128:
                if value >> bits:
                    raise Malformed("too large")
                return value
        raise Malformed("too long")

    def varint(self, field, bits=64):
        return self.note(field, self.raw_varint(bits))

    def big_endian(self, field, size, signed=False):
        return self.note(field, int.from_bytes(self.take(size), "big", signed=signed))

    def raw_text(self, longest=None):
        data = self.take(self.raw_varint(64))
        if longest is not None and len(data) > longest:
            raise Malformed("too long")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Malformed("no UTF-8") from None

    def text(self, field, longest=None):
        return self.note(field, self.raw_text(longest))

    def reason(self):
        code = self.raw_text(64)
        self.note("reason", code if code in REASONS else "peer_error")

    def bytes(self, field, n):
        return self.note(field, self.take(n).hex())

    def rest(self, field):
        return self.bytes(field, len(self.data) - self.at)

    def one_of(self, field, names, number=None):
        number = self.raw_varint(32) if number is None else number
        if number >= len(names) or names[number] is None:
            raise Malformed(field)
        return self.note(field, names[number])


HEADS = ["Ping", "Pong", "Open", "Data", "Acknowledge", "End", "Resume", "Peer", "Rotate", "Rotated", "Revoke", "Rekey", "Error",
         "Envelope", "Enveloped", "Decline", "Storing"]
SUITES = [None, "Noise_IK_25519_AESGCM_SHA256", "Noise_IK_25519_ChaChaPoly_BLAKE2s", "Noise_IKpsk2_25519_AESGCM_SHA256",
          "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"]


def head(r):
    name = r.one_of("head", HEADS)
    if name in ("Open", "Data", "Acknowledge", "End", "Resume", "Peer", "Envelope", "Enveloped", "Decline"):
        r.bytes("session", 16)
    if name in ("Ping", "Pong"):
        r.varint("nonce")
    elif name == "Open":
        r.big_endian("cipher", 1)
    elif name == "Data":
        r.varint("epoch", 32), r.varint("sequence")
    elif name in ("Acknowledge", "Resume"):
        r.varint("next")
    elif name == "End":
        r.varint("next"), r.one_of("outcome", ["Exited", "Cut"])
    elif name == "Peer":
        r.varint("viewer")
    elif name == "Rotate":
        r.text("token")
    elif name == "Rotated":
        r.varint("generation")
    elif name == "Revoke":
        r.reason()
    elif name == "Decline":
        r.reason(), r.varint("retry_after", 32)
    elif name == "Error":
        r.reason(), r.varint("retry_after", 32), r.text("detail")
    elif name in ("Enveloped", "Storing"):
        r.one_of("is_durable" if name == "Enveloped" else "works", ["false", "true"], r.take(1)[0])
    return name


def frame(r):
    if head(r) in ("Open", "Data", "Peer", "Envelope"):
        r.rest("body")


def frame_with_tail(r):
    if head(r) not in ("Data", "Peer"):
        raise Malformed("no tail belongs to this")


def preamble(r):
    r.one_of("version", [None, "1"], r.take(1)[0])
    r.one_of("suite", SUITES, r.take(1)[0])
    r.one_of("role", [None, "Daemon", "Viewer", "Peer"], r.take(1)[0])


def hello(r):
    r.text("token", 4096), r.text("software", 64)


def answer(r):
    if r.one_of("answer", ["Welcome", "Refused"]) == "Welcome":
        r.varint("frame_max", 32), r.varint("time"), r.text("software")
    else:
        r.reason(), r.varint("retry_after", 32)


def segments(r):
    while r.at < len(r.data):
        length = r.big_endian("length", 2)
        if length == 0:
            r.rest("tail")
        elif length < 17:
            raise Malformed("shorter than a tag and a byte")
        else:
            r.bytes("ciphertext", length)


def record(r):
    r.varint("at")
    kind = r.one_of("kind", ["title", "output", "input", "resize", "event", "exit"], r.take(1)[0])
    if kind == "title":
        r.text("command"), r.text("directory"), r.varint("started"), r.varint("columns", 16), r.varint("rows", 16)
    elif kind == "resize":
        r.big_endian("columns", 2), r.big_endian("rows", 2)
    elif kind == "exit":
        r.big_endian("status", 4, signed=True)
    else:
        r.rest("payload")


def key_request(r):
    r.bytes("session", 16)


def key_answer(r):
    r.varint("epoch", 32), r.bytes("secret", 32)


def load(name):
    return json.loads((ROOT / "tests/vectors" / name).read_text())


def check_wire():
    vectors = load("wire.json")["vectors"]
    for vector in vectors:
        r = Reader(bytes.fromhex(vector["bytes"]))
        try:
            globals()[vector["kind"]](r)
            if r.at != len(r.data):
                raise Malformed("more behind it")
            said = r.says
        except Malformed:
            said = None
        expected = None if "refused" in vector else [(part["field"], part["value"]) for part in vector.get("says", [])]
        assert said == expected, (vector["name"], said, expected)
    return len(vectors)


def hkdf(salt, ikm, info, length=32):
    key, out, block = hmac.digest(salt or bytes(32), ikm, "sha256"), b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("base64url") from None
    if b64(data) != text:
        raise Malformed("base64url")
    return data


def thumbprint(public):
    return b64(hashlib.sha256(('{"crv":"Ed25519","kty":"OKP","x":"%s"}' % b64(public)).encode()).digest())


def check_keys():
    bindings, examples = load("sealing.json")["bindings"], load("rfc.json")["hkdf_sha256"]
    for keys in bindings:
        seed = bytes.fromhex(keys["seed"])
        assert hkdf(b"", seed, b"viewport/1 identity").hex() == keys["identity_private"], keys["seed"]
        assert hkdf(b"", seed, b"viewport/1 noise static").hex() == keys["static_private"], keys["seed"]
        assert thumbprint(bytes.fromhex(keys["identity_public"])) == keys["thumbprint"], keys["seed"]
    for example in examples:
        salt, ikm, info, okm = (bytes.fromhex(example[name]) for name in ("salt", "ikm", "info", "okm"))
        assert hkdf(salt, ikm, info, len(okm)) == okm, example["name"]
    return len(bindings) + len(examples)


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise Malformed("a member twice")
    return dict(pairs)


def parse_object(data):
    try:
        value = json.loads(data.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise Malformed("JSON") from None
    if not isinstance(value, dict):
        raise Malformed("no object")
    return value


def header_of(token, names, alg_typ):
    if len(token) > 4096 or token.count(".") != 2:
        raise Malformed("shape")
    first, payload, signature = (unb64(part) for part in token.split("."))
    header = parse_object(first)
    if set(header) != names or (header["alg"], header["typ"]) != alg_typ or len(signature) != 64:
        raise Malformed("header")
    return header, parse_object(payload)


def check_tokens():
    tokens = load("credentials.json")["tokens"]
    for vector in tokens:
        try:
            header, claims = header_of(vector["token"], {"alg", "kid", "typ"}, ("EdDSA", "viewport+jwt"))
            is_kid = isinstance(header["kid"], str) and len(unb64(header["kid"])) == 32
        except Malformed:
            is_kid = False
        if vector["expected"] != "token_malformed":
            assert is_kid, vector["name"]
        elif "claim" not in vector["name"]:
            # What is wrong with claims is for a reader of claims.
            odd = re.match(r"(exp|aud|role|org|gen|cnf)\b|a member twice in a claim", vector["name"])
            assert odd or not is_kid, vector["name"]
    return len(tokens)


if __name__ == "__main__":
    for check in (check_wire, check_keys, check_tokens):
        print(f"{check.__name__[6:]}: {check()} vectors read alike")

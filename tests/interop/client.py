"""A second implementation of the protocol, written from docs/WIRE.md and docs/REASONS.md alone.

It proves that those pages are enough: it recomputes every worked example of section 11, starts the two real servers, makes the
first account, pairs a daemon and a viewer through the web forms, and is then both of them: handshakes in every suite, a session
that is streamed, acknowledged, interrupted, resumed and ended, its key handed over through Peer frames, its records opened by
the viewer, credentials verified and rotated, a machine revoked, and the refusals of section 4 with the reasons they promise.
Beside the real platform it plays one of its own towards a second relay, for credentials that no platform would issue.

    cargo build -p viewport-platform -p viewport-relay
    python tests/interop/client.py                # --bin DIR where the binaries are elsewhere, --only-examples for section 11

README.md, next to this file, names the packages. The first check that fails ends the run with exit status 1.
"""
import argparse, hashlib, json, re, secrets, struct, time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from stage import Browser, OwnPlatform, Servers, free_port, http_json
from wire import *


def check(what, holds, seen=None):
    print(("ok    " if holds else "FAIL  ") + what + ("" if holds or seen is None else f": {seen}"), flush=True)
    if not holds:
        raise SystemExit(1)


# --- section 11: worked examples

def examples():
    table = dict(re.findall(r"^\| (.+?) \| `([0-9a-f]+)` \|$", (ROOT / "docs/WIRE.md").read_text().split("## 11.")[1], re.M))
    s, mine = b"\x11" * 16, {}
    mine["Ping, nonce 300"], mine["Pong, nonce 300"] = encode("Ping", 300), encode("Pong", 300)
    mine["Open, cipher 1"] = encode("Open", s, 1)
    listing = b"abc\0" + b"".join(map(varint, (0, 300, 301, 128, 2)))
    mine["Open, cipher 1, to a viewer: credential `abc`, Live, began 300, active 301, 128 bytes, 2 records"] = encode(
        "Open", s, 1, body=listing)
    mine["Data, epoch 0, sequence 128, body `aa bb`"] = encode("Data", s, 0, 128, body=b"\xaa\xbb")
    mine["Acknowledge, next 129"], mine["End, next 129, Cut"] = encode("Acknowledge", s, 129), encode("End", s, 129, 1)
    mine["Resume, next 5"], mine["Peer, viewer 2, body `cc`"] = encode("Resume", s, 5), encode("Peer", s, 2, body=b"\xcc")
    mine["Rotate, token `abc`"], mine["Rotated, generation 2"] = encode("Rotate", "abc"), encode("Rotated", 2)
    mine["Revoke, `machine_revoked`"], mine["Rekey"] = encode("Revoke", "machine_revoked"), encode("Rekey")
    mine["Error, `superseded`, retry after 0, no detail"] = encode("Error", "superseded", 0, "")
    frames = list(mine)
    greeting = blob("abc") + blob("vpd 0.1.0")
    welcome = varint(0) + varint(1048576) + varint(1700000000) + blob("vpd 0.1.0")
    mine["Hello, token `abc`, software `vpd 0.1.0`"] = greeting
    mine["Welcome, frame_max 1048576, time 1700000000, software `vpd 0.1.0`"] = welcome
    mine["Refused, `token_expired`, retry after 30"] = varint(1) + blob("token_expired") + varint(30)
    mine["KeyRequest"], mine["KeyAnswer, epoch 300, secret 32 × `22`"] = s, varint(300) + b"\x22" * 32
    output = record(1500, 1, b"hi")
    mine["title at 0 ms: `bash` in `~/api`, started 1700000000, 80 × 24"] = record(
        0, 0, title("bash", "~/api", 1700000000, 80, 24))
    mine["output at 1500 ms: `hi`"], mine["exit at 1500 ms: -1"] = output, record(1500, 5, struct.pack(">i", -1))
    mine["resize at 1500 ms: 100 × 40"] = record(1500, 3, struct.pack(">HH", 100, 40))
    for cipher in AEAD:
        mine[f"that output as record 1, cipher {cipher}, sealed"] = Keys("acme", s, cipher, b"\x22" * 32).seal(0, 1, output)
    device, relay = Binding(b"\x33" * 32), Binding(b"\x44" * 32)
    ephemeral = {who: bytes.fromhex(table[f"{who}: ephemeral key (private)"]) for who in ("device", "relay")}
    initiator = noise(b"\x01\x02\x01", device.static, relay.static_public, ephemeral=ephemeral["device"])
    responder = noise(b"\x01\x02\x01", relay.static, ephemeral=ephemeral["relay"])
    first = bytes(initiator.write_message(greeting))
    check("the relay's side reads the Hello", responder.read_message(first) == greeting)
    second = bytes(responder.write_message(welcome))
    check("the device's side reads the Welcome", initiator.read_message(second) == welcome)
    sealed = initiator.encrypt(encode("Ping", 0))
    mine |= {"device: identity key (public)": device.identity_public, "device: static key (public)": device.static_public,
             "device: signature over its static key": device.signature, "relay: static key (public)": relay.static_public,
             "device: ephemeral key (private)": ephemeral["device"], "relay: ephemeral key (private)": ephemeral["relay"],
             "message 1, with that Hello": b"\x01\x02\x01" + first, "message 2, with that Welcome": second,
             "handshake hash": initiator.get_handshake_hash(),
             "first transport message: Ping, nonce 0": struct.pack(">H", len(sealed)) + sealed}
    check("section 11 has the rows this client knows", set(table) == set(mine), set(table) ^ set(mine))
    for row, data in mine.items():
        check("section 11: " + row, data.hex() == table[row], data.hex())
    for row in frames:
        name, fields, body = decode(bytes.fromhex(table[row]))
        check("and back: " + row, encode(name, *fields, body=body).hex() == table[row])


# --- sections 2 to 8, against servers

def key_set(platform):
    return http_json("GET", platform + "/api/.well-known/jwks.json")[1]


def pair(platform, browser, kind):
    """Mint, poll while pending, approve in the browser, poll held open, verify the answer."""
    b = Binding()
    status, minted = http_json("POST", platform + "/api/pairing-codes", {
        "kind": kind, "mode": "new", "name": "interop " + kind, "software": "interop 1", "identity_key": b64(b.identity_public),
        "static_key": b64(b.static_public), "static_key_signature": b64(b.signature)})
    check(f"a code is minted for a {kind}", status == 201 and re.fullmatch("[B-DF-HJ-NP-TV-Z2-5]{8}", minted["code"]), minted)
    poll, bearer = platform + "/api/pairing-codes/" + minted["code"], "Bearer " + minted["status_token"]
    check("it is pending", http_json("GET", poll, Authorization=bearer) == (200, {"status": "pending"}))
    check("a wrong status token is 404", http_json("GET", poll, Authorization="Bearer x")[0] == 404)
    browser.open(minted["url"]).submit("/pair/approve")
    status, a = http_json("GET", poll, Authorization=bearer, Prefer="wait=20")
    check("it is approved", status == 200 and a["status"] == "approved", a)
    b.token, b.relay_url, b.relay_key = a["issue_token"], a["relay"]["url"], unb64(a["relay"]["static_keys"][0])
    b.psk, b.machine, b.org = a.get("psk") and unb64(a["psk"]), a["machine_id"], a["workspace"]["id"]
    check("psk goes with crypto_pairing", ("psk" in a) == (a["policy_mode"] == "crypto_pairing"))
    c = verify(b.token, platform, key_set(platform), kind, b.org)
    check("its credential names both keys, generation 1", c["gen"] == 1 and unb64(c["cnf"]["jwk"]["x"]) == b.static_public
          and c["cnf"]["jkt"] == thumbprint(b.identity_public), c)
    check("its ids are those of the answer", (c["sub"], c["rtg"], c["mid"]) ==
          (a["install_id"], a["runtime_target_id"], a["machine_id"]))
    return b


def rotate(platform, b, token):
    url = platform + "/api/credentials/rotate"
    header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(b.identity_public)}}
    proof = sign_jws(b.identity, header, {"jti": secrets.token_hex(16), "htm": "POST", "htu": url, "iat": int(time.time()),
                                          "ath": b64(hashlib.sha256(token.encode()).digest())})
    generation = json.loads(unb64(token.split(".")[1]))["gen"]
    return http_json("POST", url, {"generation": generation}, Authorization="DPoP " + token, DPoP=proof)


def ends(what, how, reason, action):
    """`action` ends in that reason, by a frame that was opened (Refused, Revoke, Error) or by a close frame alone."""
    try:
        seen = action()
    except Ended as ended:
        seen = ended
        if (ended.how, ended.reason) == (how, reason):
            if how == "close" and ended.code != 4000 + REASONS[reason]:
                check(what, False, ended.code)
            return check(f"{what}: {how} {reason}", True)
    check(f"{what}: {how} {reason}", False, seen)


def tokens(servers):
    """Section 4, steps 4 to 7, against a platform of our own."""
    issuer = OwnPlatform.serve()
    url, key = servers.relay(issuer)
    b, now = Binding(), int(time.time())
    b.relay_url, b.relay_key = url, unb64(key)

    def attempt(suite=1, header=(), token=None, psk=None, **changes):
        return lambda: Link(b, DAEMON, suite, token=token or OwnPlatform.token(b, issuer, header, **changes), psk=psk)
    check("a credential of our own platform is taken", attempt()().expect("Pong")[1] == [7])
    good = OwnPlatform.token(b, issuer)
    padded = good.split(".")
    malformed = {"garbled": "x.y.z", "empty": "", "padded": ".".join([padded[0] + "=", *padded[1:]]), "two parts": "a.b"}
    for what, token in malformed.items():
        ends("a token that is " + what, "Refused", "token_malformed", lambda: Link(b, DAEMON, 1, token=token or " "))
    for what, reason, changes in [
            ("expired", "token_expired", dict(exp=now - 61)), ("another audience", "token_wrong_audience", dict(aud="x")),
            ("another issuer", "token_wrong_audience", dict(iss="http://x")),
            ("a missing claim", "token_malformed", dict(jti=None)),
            ("nbf ahead", "token_not_yet_valid", dict(nbf=now + 90)), ("iat ahead", "token_not_yet_valid", dict(iat=now + 90)),
            ("another kid", "signature_mismatch", dict(header={"kid": thumbprint(bytes(32))})),
            ("a kid that is no thumbprint", "token_malformed", dict(header={"kid": "x"})),
            ("crit", "token_malformed", dict(header={"crit": []})),
            ("another alg", "token_malformed", dict(header={"alg": "none"})),
            ("another typ", "token_malformed", dict(header={"typ": "JWT"})),
            ("another role", "token_wrong_audience", dict(role="viewer"))]:
        ends("a token with " + what, "Refused", reason, attempt(**changes))
    check("exp 50 s past is still taken", attempt(exp=now - 50)().expect("Pong"))
    signed = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBA")
    ends("a changed signature", "Refused", "signature_mismatch", attempt(token=signed))
    ends("expired under IKpsk2", "close", "token_expired", attempt(3, exp=now - 90, psk=bytes(32)))
    for reason in ("machine_revoked", "workspace_not_found", "token_superseded"):
        OwnPlatform.verdict = 200, {"active": False, "reason": reason}
        ends("the platform says no", "Refused", reason, attempt())
    for status, reason in (401, "internal_key_mismatch"), (500, "validate_unreachable"):
        OwnPlatform.verdict = status, {}
        ends(f"the platform says {status}", "Refused", reason, attempt())
    psk = secrets.token_bytes(32)
    OwnPlatform.verdict = 200, {"active": True, "policy_mode": "crypto_pairing", "psk": b64(psk)}
    ends("IK under crypto_pairing", "Refused", "noise_psk_invalid", attempt())
    OwnPlatform.verdict = 200, {"active": True, "policy_mode": "standard"}
    silent = Link(b, DAEMON, 1, token=good, confirm=False)
    ends("a link that is not confirmed", "close", "handshake_timed_out", lambda: silent.receive(15))
    ends("IKpsk2 without a PSK on the platform", "close", "noise_psk_invalid", attempt(3, psk=psk))


def world(servers):
    """Everything between the real platform, the real relay, a daemon and a viewer of ours."""
    port = free_port()
    platform = f"http://127.0.0.1:{port}"
    relay_url, relay_key = servers.relay(platform)
    link = servers.start("viewport-platform", r"(http\S+/setup\?token=\S+)", PLATFORM_PUBLIC_URL=platform,
                         PLATFORM_RELAY_URL=relay_url, PLATFORM_RELAY_STATIC_KEYS=relay_key,
                         PLATFORM_LISTEN=f"127.0.0.1:{port}", PLATFORM_DATABASE_URL="sqlite:platform.db")
    check("the platform is healthy", http_json("GET", platform + "/api/health")[0] == 200)
    admin = Browser(platform).open(link).submit("/setup", organization="Acme", name="Ada", email="ada@example.com",
                                                password=secrets.token_urlsafe(12))
    check("the first account is made", admin.url.endswith("/w/acme/machines"), admin.url)
    daemon, viewer = pair(platform, admin, "daemon"), pair(platform, admin, "viewer")
    check("both name the relay that was started", (daemon.relay_url, b64(daemon.relay_key)) == (relay_url, relay_key))

    meet(daemon)
    for suite in 1, 2:
        link = Link(daemon, DAEMON, suite)
        check(f"suite {suite}: Welcome and Pong", link.welcome["frame_max"] == 1 << 20 and link.expect("Pong")[1] == [7])
    refusals(daemon, viewer)
    watch(platform, daemon, viewer, stream(daemon))
    rotation(platform, daemon)
    crypto_pairing(platform, admin, daemon)
    revocation(platform, admin, viewer)


def meet(b):
    """A relay that started before its platform may need a moment, and says so."""
    for _ in range(30):
        try:
            return Link(b, DAEMON).close()
        except Ended as ended:
            check(f"not yet: {ended}", ended.reason in ("jwks_unreachable", "validate_unreachable"))
            time.sleep(min(ended.code or 1, 5))


def refusals(daemon, viewer):
    other = X25519PrivateKey.generate().public_key().public_bytes_raw()
    ends("a garbled token", "Refused", "token_malformed", lambda: Link(daemon, DAEMON, token=daemon.token[1:]))
    ends("a token of another key", "Refused", "token_key_mismatch", lambda: Link(viewer, DAEMON, token=daemon.token))
    ends("a daemon's token as a viewer", "Refused", "token_wrong_audience", lambda: Link(daemon, VIEWER))
    ends("another relay key", "close", "noise_handshake_failed", lambda: Link(daemon, DAEMON, relay_key=other))
    for what, reason, preamble in [
            ("version 2", "noise_version_unsupported", b"\2\1\1"), ("suite 5", "noise_version_unsupported", b"\1\5\1"),
            ("role 3", "frame_malformed", b"\1\1\3")]:
        ends(what, "close", reason, lambda: Link(daemon, DAEMON, preamble=preamble))


def stream(daemon):
    """A session of 40 records over two epochs, cut off in the middle, resumed, ended; answers with its keys and records."""
    keys = Keys(daemon.org, secrets.token_bytes(16), 2, secrets.token_bytes(32))
    plain = [record(0, 0, title("bash", "~/api", int(time.time()), 80, 24))]
    plain += [record(i * 10, 1, f"line {i}\r\n".encode() * i * 50) for i in range(1, 38)]
    plain += [record(400, 3, struct.pack(">HH", 100, 40)), record(500, 5, struct.pack(">i", -1))]

    def data(link, sequences):
        for n in sequences:
            link.send("Data", keys.session, n // 20, n, body=keys.seal(n // 20, n, plain[n]))

    def acknowledged(link, n):
        while link.expect("Acknowledge")[1] != [keys.session, n]:
            pass
        return True

    def opened(link):
        link.send("Open", keys.session, keys.cipher)
        return link.expect("Resume")[1]
    link = Link(daemon, DAEMON)
    check("a new session begins at 0", opened(link) == [keys.session, 0])
    data(link, range(10))
    check("its records are acknowledged", acknowledged(link, 10))
    link.send("Rekey")
    data(link, range(10, 20))
    check("also after Rekey", acknowledged(link, 20))
    newer = Link(daemon, DAEMON)
    check("after a reconnect it resumes behind what is durable", opened(newer) == [keys.session, 20])
    ends("the older link", "Error", "superseded", lambda: link.expect("Pong") and link.receive())
    data(newer, range(15, 30))
    check("records sent twice are dropped", acknowledged(newer, 30))
    newer.send("Data", keys.session, 1, 35, body=keys.seal(1, 35, plain[35]))
    ends("a Data that skips ahead", "Error", "frame_malformed", lambda: newer.expect("Resume"))
    link = Link(daemon, DAEMON)
    check("nothing of it was stored", opened(link) == [keys.session, 30])
    data(link, range(30, 40))
    link.send("End", keys.session, 40, 0)
    check("End is acknowledged as one more record", acknowledged(link, 41))
    check("and so says Resume from then on", opened(link) == [keys.session, 41])
    link.close()
    return keys, plain


def watch(platform, daemon, viewer, streamed):
    keys, plain = streamed
    host, link = Link(daemon, DAEMON), Link(viewer, VIEWER)
    host.send("Open", keys.session, keys.cipher)
    _, (session, cipher), body = link.expect("Open")
    credential, listing = body.split(b"\0", 1)
    r = Reader(listing)
    standing, began, active, size, records = (r.varint() for _ in range(5))
    check("and how it stands", (r.end(standing), records) == (2, 40) and 0 < began <= active and size > 0, listing.hex())
    check("the viewer is told of the session", (session, cipher) == (keys.session, keys.cipher))
    c = verify(credential.decode(), platform, key_set(platform), "daemon", viewer.org, expiry=False)
    for suite in 1, 2:
        preamble = bytes([1, suite, PEER])
        first, finish = initiate(preamble, viewer.static, unb64(c["cnf"]["jwk"]["x"]), hello(viewer.token))
        link.send("Peer", session, 0, body=first)
        _, (_, number), body = host.expect("Peer")
        inner = noise(body[:3], daemon.static)
        token = Reader(inner.read_message(body[3:])).string()
        v = verify(token, platform, key_set(platform), "viewer", daemon.org)
        check(f"suite {suite}: the daemon knows the viewer by its number and its credential", number > 0 and
              inner.noise_protocol.handshake_state.rs.public_bytes == unb64(v["cnf"]["jwk"]["x"]) == viewer.static_public)
        welcome = varint(0) + varint(1 << 20) + varint(int(time.time())) + blob("interop 1")
        host.send("Peer", session, number, body=bytes(inner.write_message(welcome)))
        _, fields, body = link.expect("Peer")
        outer, payload = finish(body)
        check("the daemon's answer opens", read_answer(payload)["software"] == "interop 1", fields)
        link.send("Peer", session, 0, body=outer.encrypt(session))
        check("the key is asked for", inner.decrypt(host.expect("Peer")[2]) == session)
        host.send("Peer", session, number, body=inner.encrypt(varint(0) + keys.secret))
        r = Reader(outer.decrypt(link.expect("Peer")[2]))
        epoch, secret = r.varint(), r.take(32)
        check("and comes", (epoch, secret) == (0, keys.secret))
    mine, seen = Keys(viewer.org, session, cipher, secret, epoch), []
    link.send("Resume", session, 0)
    while len(seen) < len(plain):
        _, (_, epoch, sequence), sealed = link.expect("Data")
        if sequence != len(seen):
            check(f"record {len(seen)} comes in order", False, sequence)
        seen.append(mine.open(epoch, sequence, sealed))
    check("all records open, over both epochs", seen == plain)
    at, kind, fields = read_record(seen[0])
    check("record 0 is the title", (at, kind, fields[:2], fields[3:]) == (0, 0, ("bash", "~/api"), (80, 24)))
    check("the last one is the exit", read_record(seen[-1]) == (500, 5, b"\xff" * 4))
    check("then comes End", link.expect("End")[1] == [session, 40, 0])
    link.send("Resume", session, 35)
    check("a viewer may resume from anywhere", link.expect("Data")[1] == [session, 1, 35])


def rotation(platform, daemon):
    first = daemon.token
    status, answer = rotate(platform, daemon, first)
    check("a credential is renewed", status == 200 and set(answer) == {"issue_token", "relay"}, answer)
    c = verify(answer["issue_token"], platform, key_set(platform), "daemon", daemon.org)
    check("its generation is 2", c["gen"] == 2)
    status, again = rotate(platform, daemon, first)
    check("a lost answer is given again", status == 200 and verify(again["issue_token"], platform, key_set(platform))["gen"] == 2)
    check("generation 1 still connects", Link(daemon, DAEMON).expect("Pong"))
    daemon.token = answer["issue_token"]
    link = Link(daemon, DAEMON)
    status, answer = rotate(platform, daemon, daemon.token)
    daemon.token = answer["issue_token"]
    link.send("Rotate", daemon.token)
    check("the new one is announced in band", link.expect("Rotated")[1] == [3])
    status, problem = rotate(platform, daemon, first)
    check("generation 1 is superseded", (status, problem.get("reason")) == (409, "token_superseded"), problem)
    ends("and so at the relay", "Refused", "token_superseded", lambda: Link(daemon, DAEMON, token=first))
    thief = Binding()
    status, problem = rotate(platform, thief, daemon.token)
    check("another key renews nothing", (status, problem.get("reason")) == (401, "token_key_mismatch"), problem)


def crypto_pairing(platform, admin, before):
    ends("IKpsk2 under the standard policy", "close", "noise_psk_invalid", lambda: Link(before, DAEMON, 3, psk=bytes(32)))
    settings = "/w/acme/settings/security"
    admin.open(settings).submit(settings, policy_mode="crypto_pairing")
    ends("IK under crypto_pairing", "Refused", "noise_psk_invalid", lambda: Link(before, DAEMON))
    after = pair(platform, admin, "daemon")
    ends("IK with a PSK at hand", "Refused", "noise_psk_invalid", lambda: Link(after, DAEMON, 1))
    for suite in 3, 4:
        check(f"suite {suite} with the right PSK", Link(after, DAEMON, suite).expect("Pong"))
        ends(f"suite {suite} with a wrong PSK", "device", "noise_psk_invalid", lambda: Link(after, DAEMON, suite, psk=bytes(32)))
    admin.open(settings).submit(settings, policy_mode="standard")


def revocation(platform, admin, b):
    link = Link(b, VIEWER)
    link.expect("Pong")
    page = f"/w/acme/machines/{b.machine}/revoke"
    admin.open(page).submit(page)
    ends("a machine revoked on its page, on the live link", "Revoke", "machine_revoked", lambda: link.expect("Data"))
    ends("and at the next connection", "Refused", "machine_revoked", lambda: Link(b, VIEWER))
    status, problem = rotate(platform, b, b.token)
    check("and at its renewal", (status, problem.get("reason")) == (403, "machine_revoked"), problem)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--bin", default=ROOT / "target/debug", help="the directory of the two server binaries")
    options.add_argument("--only-examples", action="store_true", help="only the worked examples of section 11")
    options = options.parse_args()
    examples()
    if options.only_examples:
        return
    servers = Servers(options.bin)
    try:
        world(servers)
        tokens(servers)
    finally:
        servers.stop()


if __name__ == "__main__":
    main()

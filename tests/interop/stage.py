"""What the client plays against: the two real servers, a browser for the web forms, and a platform of our own."""
import html.parser, http.cookiejar, http.server, json, os, pathlib, re, secrets, socket, subprocess, tempfile, threading, time
import urllib.error, urllib.parse, urllib.request

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wire import b64, sign_jws, thumbprint


def http_json(method, url, body=None, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()} | {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


class Browser(html.parser.HTMLParser):
    """Follows links, keeps cookies, fills and submits the forms of the web pages."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def open(self, path, form=None):
        url = urllib.parse.urljoin(self.base, path)
        with self.opener.open(url, form and urllib.parse.urlencode(form).encode(), timeout=30) as answer:
            self.forms, self.url = {}, answer.url
            self.feed(answer.read().decode())
        return self

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "form":
            self.fields = self.forms.setdefault(a["action"], {})
        elif tag == "input" and "name" in a and (a.get("type") != "radio" or "checked" in a):
            self.fields[a["name"]] = a.get("value", "")

    def submit(self, action, **fields):
        return self.open(action, self.forms[action] | fields)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Servers:
    def __init__(self, binaries):
        self.binaries, self.home, self.running = pathlib.Path(binaries), tempfile.TemporaryDirectory(), []
        self.internal_key = secrets.token_hex(16)

    def start(self, name, expected, **settings):
        log = pathlib.Path(self.home.name, f"{len(self.running)}.log")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RELAY_", "PLATFORM_"))}
        with log.open("wb") as out:
            self.running.append(subprocess.Popen([self.binaries / name], env=environment | settings | {
                "RELAY_INTERNAL_KEY": self.internal_key, "NO_COLOR": "1"}, stdout=out, stderr=out, cwd=self.home.name))
        for _ in range(200):
            if found := re.search(expected, log.read_text()):
                return found[1]
            time.sleep(0.05)
        raise SystemExit(f"{name} did not start:\n{log.read_text()}")

    def relay(self, platform):
        port, data = free_port(), tempfile.mkdtemp(dir=self.home.name)
        key = self.start("viewport-relay", r"static key (\S{43})", RELAY_JWKS_URL=platform + "/api/.well-known/jwks.json",
                         RELAY_VALIDATE_URL=platform + "/api/relay/validate", RELAY_LISTEN=f"127.0.0.1:{port}",
                         RELAY_DATA_DIR=data, RELAY_RATE_LIMIT_PER_IP="0")
        return f"ws://127.0.0.1:{port}/ws", key

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait()
        self.home.cleanup()


class OwnPlatform(http.server.BaseHTTPRequestHandler):
    """Section 3 from the platform's side: signs anything, answers `validate` with what the test wants."""
    key, verdict, protocol_version = Ed25519PrivateKey.generate(), (200, {"active": True, "policy_mode": "standard"}), "HTTP/1.1"
    public = key.public_key().public_bytes_raw()
    log_message = lambda *_: None

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if "revocations" in self.path:
            if "after=" in self.path:
                time.sleep(2)
            return self.answer(200, {"last": 0, "runtime_targets": [], "organizations": []})
        self.answer(200, {"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
                                    "kid": thumbprint(self.public), "x": b64(self.public)}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(*OwnPlatform.verdict)

    @classmethod
    def serve(cls):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), cls)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    @classmethod
    def token(cls, b, issuer, header=(), **changes):
        now = int(time.time())
        jwk = {"kty": "OKP", "crv": "X25519", "x": b64(b.static_public)}
        claims = {"iss": issuer, "aud": "viewport-relay", "sub": "i", "org": "o", "rtg": "r", "mid": "m", "role": "daemon",
                  "gen": 1, "cnf": {"jwk": jwk, "jkt": thumbprint(b.identity_public)}, "iat": now, "nbf": now,
                  "exp": now + 3600, "rexp": now + 7200, "jti": secrets.token_hex(8)} | changes
        head = {"alg": "EdDSA", "kid": thumbprint(cls.public), "typ": "viewport+jwt"} | dict(header)
        return sign_jws(cls.key, head, {k: v for k, v in claims.items() if v is not None})

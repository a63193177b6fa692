"""The official Python client of fal.ai, unmodified, against the sandbox.

The client knows only fal's own host names. So it is given a proxy, here in this script, which
dials the sandbox's TLS address whatever host it is asked for, and the sandbox's CA to trust.
Needs SANDBOX_URL, SANDBOX_TLS_URL and SANDBOX_CA.
"""

import faulthandler
import http.server
import json
import os
import queue
import socket
import struct
import threading
import urllib.parse
import urllib.request
import zlib

URL = os.environ["SANDBOX_URL"]
TLS = urllib.parse.urlsplit(os.environ["SANDBOX_TLS_URL"])
KEY = os.environ.get(
    "SANDBOX_FAL_KEY", "00000000-0000-4000-8000-000000000000:sandboxsandboxsandboxsandboxsand"
)


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(4096)
        if not data:
            return
        head += data
    assert head.startswith(b"CONNECT "), head[:40]
    sandbox = socket.create_connection((TLS.hostname, TLS.port), timeout=10)
    sandbox.settimeout(None)
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(sandbox, client), daemon=True).start()
    pump(client, sandbox)


def proxy():
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


# Read by the client and by httpx when they are imported, so they are set before.
for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
    os.environ.pop(name, None)
os.environ.update(
    HTTPS_PROXY=proxy(),
    NO_PROXY="127.0.0.1,localhost",
    no_proxy="127.0.0.1,localhost",
    SSL_CERT_FILE=os.environ["SANDBOX_CA"],
    FAL_KEY=KEY,
)

import fal_client
import httpx
from fal_client.client import FalClientHTTPError

faulthandler.dump_traceback_later(240, exit=True)


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def png(width, height, colour):
    """A picture of one colour."""

    def chunk(kind, data):
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    rows = (b"\0" + bytes(colour) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def raises(status, call):
    try:
        call()
    except FalClientHTTPError as error:
        assert error.status_code == status, (error.status_code, error.message)
        return error
    raise AssertionError(f"HTTP {status} was expected")


def picture(image):
    """The file behind a result, fetched as anyone would: without a key."""
    with httpx.Client(timeout=20) as client:
        answer = client.get(image["url"])
    assert answer.status_code == 200, answer.status_code
    assert answer.headers["content-type"] == image["content_type"]
    assert len(answer.content) == image["file_size"]
    return answer.content


def subscribe():
    seen = []
    result = fal_client.subscribe(
        "fal-ai/nano-banana-2",
        {"prompt": "Кот в скафандре", "resolution": "0.5K"},
        with_logs=True,
        on_queue_update=seen.append,
    )
    assert picture(result["images"][0]).startswith(b"\x89PNG")
    lines = [line for one in seen if isinstance(one, fal_client.InProgress) for line in one.logs or []]
    assert lines and lines[0]["message"], seen
    assert any(isinstance(one, fal_client.Queued) for one in seen), seen


def uploads():
    red = fal_client.upload(png(64, 48, (220, 20, 20)), "image/png", "red.png")
    blue = fal_client.upload(png(64, 48, (20, 20, 220)), "image/png", "blue.png")
    assert red.startswith("https://v3.fal.media/files/"), red
    merged = fal_client.subscribe(
        "fal-ai/bytedance/seedream/v4.5/edit",
        {"prompt": "вместе", "image_urls": [red, blue], "image_size": {"width": 512, "height": 384}},
    )
    assert (merged["images"][0]["width"], merged["images"][0]["height"]) == (512, 384)
    larger = fal_client.subscribe(
        "fal-ai/seedvr/upscale/image", {"image_url": red, "upscale_factor": 3}
    )
    assert (larger["image"]["width"], larger["image"]["height"]) == (192, 144)
    data_uri = fal_client.encode(png(16, 16, (1, 2, 3)), "image/png")
    small = fal_client.subscribe("fal-ai/esrgan", {"image_url": data_uri, "scale": 2})
    assert small["image"]["width"] == 32
    with_key = httpx.get(red, headers={"Authorization": f"Key {KEY}"})
    assert with_key.status_code == 400, with_key.status_code


def by_hand():
    handle = fal_client.submit("fal-ai/flux-2-pro", {"prompt": "x", "image_size": "square"})
    assert isinstance(handle.status(), (fal_client.Queued, fal_client.InProgress))
    events = list(handle.iter_events(with_logs=True))
    assert isinstance(events[-1], fal_client.Completed), events
    first, second = handle.get(), fal_client.result("fal-ai/flux-2-pro", handle.request_id)
    assert first == second and first["seed"] >= 0
    status = fal_client.status("fal-ai/flux-2-pro", handle.request_id)
    assert isinstance(status, fal_client.Completed) and status.logs is None
    assert raises(400, handle.cancel).response.json() == {"status": "ALREADY_COMPLETED"}
    unknown = "00000000-0000-0000-0000-000000000000"
    raises(404, lambda: fal_client.cancel("fal-ai/flux-2-pro", unknown))
    raises(404, lambda: fal_client.status("fal-ai/flux-2-pro", unknown))
    low = fal_client.submit(
        "fal-ai/flux-2-pro", {"prompt": "x", "image_size": "square"}, priority="low"
    )
    assert low.get()["images"]
    ran = fal_client.run("fal-ai/flux-2-pro", {"prompt": "x", "image_size": "square"})
    assert ran["images"][0]["width"] == 512


def canceled():
    control("PATCH", "/_sandbox/faults", {"fal": "hang", "fal_count": 1})
    handle = fal_client.submit("fal-ai/flux-2-pro", {"prompt": "x"})
    handle.cancel()
    error = raises(499, handle.get)
    assert error.error_type == "client_cancelled", error.error_type


def refusals():
    error = raises(422, lambda: fal_client.subscribe("fal-ai/nano-banana-2/edit", {"prompt": "x"}))
    detail = error.response.json()["detail"]
    assert detail[0]["loc"] == ["body", "image_urls"] and detail[0]["type"] == "missing", detail
    control("PATCH", "/_sandbox/faults", {"fal": "refuse", "fal_count": 1})
    error = raises(422, lambda: fal_client.subscribe("fal-ai/flux-2-pro", {"prompt": "x"}))
    assert error.response.json()["detail"][0]["type"] == "content_policy_violation"
    control("PATCH", "/_sandbox/faults", {"fal": "locked", "fal_count": 1})
    raises(403, lambda: fal_client.submit("fal-ai/flux-2-pro", {"prompt": "x"}))
    raises(404, lambda: fal_client.submit("fal-ai/gfpgan", {"prompt": "x"}))
    stranger = fal_client.SyncClient(key="kid:secret")
    raises(401, lambda: stranger.submit("fal-ai/flux-2-pro", {"prompt": "x"}))


def too_late():
    control("PATCH", "/_sandbox/faults", {"fal_work_ms": 40000})
    handle = fal_client.submit("fal-ai/flux-2-pro", {"prompt": "x"}, start_timeout=1.5)
    # The switch stays until the end: the job reads it when it begins, which may be after the answer.
    error = raises(504, handle.get)
    control("PATCH", "/_sandbox/faults", {"fal_work_ms": None})
    assert error.error_type == "request_timeout", error.error_type
    assert error.response_headers["x-fal-request-timeout-type"] == "user"


def webhooks():
    told = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            told.put((self.headers, json.loads(body)))

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handle = fal_client.submit(
        "fal-ai/flux-2-pro",
        {"prompt": "x", "image_size": "square"},
        webhook_url=f"http://127.0.0.1:{server.server_port}/told",
    )
    headers, body = told.get(timeout=30)
    server.shutdown()
    assert body["request_id"] == handle.request_id and body["status"] == "OK", body
    assert body["payload"]["images"] and headers["x-fal-webhook-request-id"] == handle.request_id
    assert len(headers["x-fal-webhook-signature"]) == 128


def repeated_by_the_client():
    """The client repeats a submit whose answer was lost, and each is a job: it must be seen."""
    before = len(control("GET", "/_sandbox/fal/requests")["requests"])
    control("PATCH", "/_sandbox/faults", {"fal": "drop_submit", "fal_count": 2})
    fal_client.submit("fal-ai/flux-2-pro", {"prompt": "x", "image_size": "square"}).get()
    after = len(control("GET", "/_sandbox/fal/requests")["requests"])
    assert after - before == 3, (before, after)


def main():
    control("PATCH", "/_sandbox/faults", {"fal_work_ms": 800})
    subscribe()
    uploads()
    by_hand()
    canceled()
    refusals()
    webhooks()
    repeated_by_the_client()
    too_late()
    print("fal-client: OK")


main()

# SPDX-License-Identifier: Apache-2.0
"""A controller that lies as told, with a CA of its own: for what a node must refuse.

It enrols any node. `desired`, `report` and `blob` are functions of a request that give an Answer, and
may be exchanged at any time; so may `certificate`, which the next connection gets.
"""
import hashlib
import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

NODE = "node_5f1d6a7c00aa31be"
ALWAYS = ("-not_before", "20250101000000Z", "-not_after", "20491231000000Z")  # a node's clock may be behind


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Authority:
    def __init__(self, folder):
        self.at = Path(folder)
        self.at.mkdir(parents=True, exist_ok=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *ALWAYS,
                "-subj", "/CN=Test CA", "-keyout", self.at / "ca.key", "-out", self.at / "ca.crt")
        self.pem = (self.at / "ca.crt").read_text()

    def sign(self, csr, *options):
        return openssl("x509", "-req", "-CA", self.at / "ca.crt", "-CAkey", self.at / "ca.key", "-set_serial",
                       str(time.time_ns()), *options, data=csr.encode()).decode()

    def server(self, name, names="IP:10.0.2.2,IP:127.0.0.1", dates=None):
        """A TLS context with a new certificate of this authority."""
        key, csr, crt, ext = (self.at / f"{name}.{end}" for end in ("key", "csr", "crt", "ext"))
        ext.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test",
                "-keyout", key, "-out", csr)
        crt.write_text(self.sign(csr.read_text(), "-extfile", ext, *(dates or ALWAYS)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        return context


def answer(status, body=b"", **headers):
    """The bytes of an HTTP answer."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (b"" if status == 204 else body)


def refusal(status, code, message):
    return answer(status, {"error": {"code": code, "message": message}})


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, query = path.partition("?")
        self.query = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)


class FakeController:
    def __init__(self, folder):
        self.authority = Authority(Path(folder) / "ca")
        self.certificate = self.authority.server("server")
        self.reports, self.blobs, self.polls, self.enrolled = [], {}, 0, 0
        self.document, self.desired, self.report, self.enroll = None, self.hand_out, self.accept, self.admit
        self.accepting = socket.create_server(("127.0.0.1", 0))
        self.port = self.accepting.getsockname()[1]
        self.is_open = True
        threading.Thread(target=self.listen, daemon=True).start()

    def close(self):
        self.is_open = False
        self.accepting.close()

    # ---- what a good controller does --------------------------------------------------------------

    @staticmethod
    def now_ms():
        return str(int(time.time() * 1000))

    def admit(self, request):
        self.enrolled += 1
        csr = json.loads(request.body)["csr"]
        later = str(int(time.time() * 1000) + 86400000)
        return answer(201, {"node_id": NODE, "certificate": self.authority.sign(csr, *ALWAYS),
                            "ca": self.authority.pem, "expires_ms": later, "renew_ms": later, "time_ms": self.now_ms()})

    def offer(self, generation, *vms, **other):
        """Makes this the desired state."""
        self.document = {
            "node_id": NODE, "generation": str(generation), "time": "2026-03-01T10:00:00.123Z",
            "time_ms": self.now_ms(), "report_interval_ms": 1000, "approved_ca": [],
            "images": [{"id": "img_00c0ffee00c0ffee", "sha256": h, "size": str(len(b))} for h, b in self.blobs.items()],
            "vms": list(vms), **other}
        return self.document

    def hand_out(self, request):
        """As a long poll of a second."""
        for _ in range(10):
            if self.document and self.document["generation"] != request.query.get("gen"):
                return answer(200, self.document)
            if "gen" not in request.query and self.document:
                return answer(200, self.document)
            time.sleep(0.1)
        return answer(204)

    def accept(self, request):
        report = json.loads(request.body)
        self.reports.append(report)
        return answer(200, self.acknowledgement(report))

    def acknowledgement(self, report):
        return {"ack_seq": max([r["seq"] for r in report.get("usage", [])], key=int, default="0"),
                "ack_event_seq": max([e["seq"] for e in report.get("events", [])], key=int, default="0"),
                "refused": 0, "repeated": 0, "time_ms": self.now_ms(), "next_ms": 1000}

    def add_blob(self, content):
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return sha256

    def blob(self, request):
        content = self.blobs.get(request.path.rsplit("/", 1)[1])
        if content is None:
            return refusal(404, "blob_not_found", "no such blob")
        first, last = request.headers.get("range", "bytes=0-").split("=")[1].split("-")
        first, last = int(first), min(int(last or len(content) - 1), len(content) - 1)
        return answer(206, content[first:last + 1], Content_Range=f"bytes {first}-{last}/{len(content)}")

    # ---- HTTP -------------------------------------------------------------------------------------

    def listen(self):
        while self.is_open:
            try:
                plain, _ = self.accepting.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain, self.certificate), daemon=True).start()

    def serve(self, plain, context):
        try:
            with context.wrap_socket(plain, server_side=True) as connection:
                rest = b""
                while True:
                    request, rest = self.read(connection, rest)
                    if request is None:
                        return
                    reply = self.route(request)
                    connection.sendall(reply)
                    if not reply.startswith(b"HTTP/1.1"):
                        return
        except (OSError, ssl.SSLError, ValueError):
            pass

    @staticmethod
    def read(connection, data):
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return None, b""
            data += piece
        head, data = data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(data) < length:
            data += connection.recv(65536)
        method, path, _ = first.split(" ")
        return Request(method, path, headers, data[:length]), data[length:]

    def route(self, request):
        if request.path == "/agent/v1/enroll":
            return self.enroll(request)
        if request.path == "/agent/v1/desired":
            self.polls += 1
            return self.desired(request)
        if request.path == "/agent/v1/report":
            return self.report(request)
        if request.path.startswith("/agent/v1/blobs/"):
            return self.blob(request)
        return refusal(404, "not_found", "no such path")
